/** The third-party services in force, by their ids. */
import {
  ConnectionService,
  type ServiceParts,
  type ServiceSettings,
} from './connection-service.ts';

/** See the file comment. */
export class ConnectionServices {
  readonly #parts: ServiceParts;
  #services: ReadonlyMap<string, ConnectionService> = new Map();

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  /** Undefined when it is not configured. */
  of(id: string): ConnectionService | undefined {
    return this.#services.get(id);
  }

  /** Puts new settings in force; a service whose settings are the same stays as it is. */
  reconfigure(settings: readonly ServiceSettings[]): void {
    const before = this.#services;
    this.#services = new Map(
      settings.map((each) => {
        const known = before.get(each.id);
        const isSame = JSON.stringify(known?.settings) === JSON.stringify(each);
        const kept = known !== undefined && isSame ? known : undefined;
        return [each.id, kept ?? new ConnectionService(each, this.#parts)];
      }),
    );
  }
}
