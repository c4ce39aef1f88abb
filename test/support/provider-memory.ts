/** What a test provider remembers; each provider has a memory of its own. */
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';

interface Entry {
  readonly payload: AdapterPayload;
  readonly expiresAt: number;
}

/** A memory for one provider. */
export function memoryAdapter(): AdapterFactory {
  const entries = new Map<string, Entry>();
  return (model) => adapterOf(entries, model);
}

function adapterOf(entries: Map<string, Entry>, model: string): Adapter {
  const read = (id: string): AdapterPayload | undefined => {
    const entry = entries.get(`${model}:${id}`);
    return entry !== undefined && entry.expiresAt > Date.now() ? entry.payload : undefined;
  };
  const search = (wanted: (payload: AdapterPayload) => boolean): AdapterPayload | undefined =>
    [...entries]
      .filter(([key, entry]) => key.startsWith(`${model}:`) && entry.expiresAt > Date.now())
      .map(([, { payload }]) => payload)
      .find(wanted);
  return {
    upsert: async (id, payload, expiresIn = 0) => {
      const expiresAt = expiresIn > 0 ? Date.now() + expiresIn * 1000 : Infinity;
      entries.set(`${model}:${id}`, { payload: structuredClone(payload), expiresAt });
    },
    find: async (id) => structuredClone(read(id)),
    findByUid: async (uid) => structuredClone(search((payload) => payload.uid === uid)),
    findByUserCode: async (code) => structuredClone(search((payload) => payload.userCode === code)),
    consume: async (id) => {
      const payload = read(id);
      if (payload !== undefined) payload['consumed'] = Math.floor(Date.now() / 1000);
    },
    destroy: async (id) => void entries.delete(`${model}:${id}`),
    revokeByGrantId: async (grantId) => {
      for (const [key, { payload }] of entries) {
        if (payload.grantId === grantId) entries.delete(key);
      }
    },
  };
}
