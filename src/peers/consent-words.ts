/** What callers read about a person's consent: the question, and how it ended. */
import type { Message } from '../model/a2a.ts';
import type { MintId } from '../model/ids.ts';
import type { JsonObject } from '../model/json.ts';
import type { ConnectionRequest } from '../ports/connections.ts';
import type { Catalogue, PeerEvent, PeerQuestion } from '../ports/peer.ts';
import type { Held } from './consent-wait.ts';

/** The one tool of a server whose own are not known yet. */
export const connectTool = 'connect';

type Status = PeerEvent & { kind: 'status' };

/** Words for one peer. */
export class ConsentWords {
  readonly #peer: { readonly id: string; readonly protocol: 'a2a' | 'mcp' };
  readonly #mintId: MintId;

  constructor(peer: { readonly id: string; readonly protocol: 'a2a' | 'mcp' }, mintId: MintId) {
    this.#peer = peer;
    this.#mintId = mintId;
  }

  /** The link, as a question that is answered in a browser. */
  question(request: ConnectionRequest): Status {
    const { url, message } = request;
    const question: PeerQuestion = {
      request: { method: 'elicitation/create', params: { mode: 'url', message, url } },
      answerAs: 'none',
      url: { candidates: [url], text: message },
    };
    return { ...this.says('TASK_STATE_AUTH_REQUIRED', request), questions: [question] };
  }

  /** The link in a state. Spec: A2A 1.0 §7.6.1 (what an agent says with AUTH_REQUIRED) */
  says(
    state: 'TASK_STATE_AUTH_REQUIRED' | 'TASK_STATE_WORKING',
    { url, message: text }: ConnectionRequest,
  ): Status {
    const message: Message = {
      messageId: this.#mintId(),
      role: 'ROLE_AGENT',
      parts: [{ text: `${text}\n${url}` }, { data: { url }, mediaType: 'application/json' }],
    };
    return { kind: 'status', state, message };
  }

  /** The end of work for which there was no consent. */
  refused(held: Held, why: 'declined' | 'dismissed' | 'expired'): Status {
    const { id } = this.#peer;
    const reason = {
      declined: 'The connection was declined',
      dismissed: 'The connection was not made',
      expired: 'Nobody decided about the connection in time',
    }[why];
    const effect =
      'position' in held
        ? `so the work at "${id}" was given up.`
        : `so "${id}" was not asked and nothing was sent.`;
    const next = why === 'declined' ? '' : ' Call it again to be asked again.';
    const state = why === 'expired' ? 'TASK_STATE_FAILED' : 'TASK_STATE_REJECTED';
    return this.#end(state, `${reason}, ${effect}${next}`);
  }

  /** The end of work that was to make a connection and nothing else. */
  done(): Status {
    const text = `"${this.#peer.id}" is connected. List its tools again.`;
    return this.#end('TASK_STATE_COMPLETED', text);
  }

  /** What an agent that waited for an authorization is told. */
  goOn(): Message {
    const text = 'The authorization was granted. Please go on.';
    return { messageId: this.#mintId(), role: 'ROLE_USER', parts: [{ text }] };
  }

  #end(
    state: 'TASK_STATE_FAILED' | 'TASK_STATE_REJECTED' | 'TASK_STATE_COMPLETED',
    text: string,
  ): Status {
    const message: Message = {
      messageId: this.#mintId(),
      role: 'ROLE_AGENT',
      parts: [{ text }],
    };
    if (this.#peer.protocol === 'a2a') return { kind: 'status', state, message };
    const result: JsonObject = {
      resultType: 'complete',
      content: [{ type: 'text', text }],
      ...(state !== 'TASK_STATE_COMPLETED' && { isError: true }),
    };
    return { kind: 'status', state, message, outcome: { result } };
  }
}

/** What a server offers to somebody without a connection. */
export function catalogueWithout(peerId: string, connection: string): Catalogue {
  return {
    serverInfo: { name: peerId, version: '0' },
    capabilities: { tools: { listChanged: true } },
    revision: '2026-07-28',
    tools: [
      {
        name: connectTool,
        title: 'Connect',
        description: `Asks the user to connect their account ("${connection}"). The tools of this server are listed after that.`,
        inputSchema: { type: 'object', properties: {} },
        annotations: { readOnlyHint: true, openWorldHint: true },
      },
    ],
    prompts: [],
    resources: [],
    resourceTemplates: [],
    version: 'not connected',
  };
}
