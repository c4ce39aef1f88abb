/** What the facts of each process mean in the sequence. A fact that is not here is not shown. */
import type { Fact, Line } from './story.ts';

type Lines = Readonly<Record<string, (fact: Fact) => Line | undefined>>;

/** Who stands on either side of a gateway. */
export interface Sides {
  readonly self: string;
  /** Who calls it, and who is lent to. */
  readonly caller: string;
  readonly grantee: string;
  /** The protocol of its callers. */
  readonly face: string;
}

function text(value: unknown): string {
  if (Array.isArray(value)) return value.map(text).join(', ');
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/** What another organization offers has an id of its own for each task, which says nothing. */
function shown(tools: string): string {
  return tools.replaceAll(/borrowed\/[\w-]+\//g, 'offered/');
}

/** The business facts in the log of a gateway. */
export function logLines({ self, caller, face }: Sides): Lines {
  return {
    'task.created': ({ taskId, peer }) =>
      peer === 'planner'
        ? { from: caller, to: self, by: face, what: `a task begins: ${text(taskId)}` }
        : undefined,
    'task.transition': ({ peer, to }) =>
      peer === 'planner' ? { from: self, by: 'task', what: text(to) } : undefined,
    'sts.issued': ({ grant, resource, bound }) => {
      if (grant !== 'client_credentials') return undefined;
      const what = `token for ${new URL(text(resource)).pathname}, bound to a key: ${text(bound)}`;
      return { from: caller, to: self, by: '/sts/token', what };
    },
    'connection.made': ({ connection, client }) => ({
      from: self,
      to: 'calendar',
      by: 'OAuth',
      what: `connection "${text(connection)}" made for the client ${text(client)}`,
    }),
  };
}

/** The entries of a gateway's audit log. Their facts are members like the others. */
export function auditLines({ self, caller, grantee }: Sides): Lines {
  const tool = ({ peer, tool: name }: Fact): string => shown(`${text(peer)}/${text(name)}`);
  const callback = { from: grantee, to: self, by: '/callback' };
  return {
    'channel.opened': ({ peer }) => ({
      from: caller,
      to: self,
      by: '/lend',
      what: `reverse channel open: ${text(peer)}`,
    }),
    'channel.closed': ({ peer }) => ({
      from: caller,
      to: self,
      by: '/lend',
      what: `reverse channel closed: ${text(peer)}`,
    }),
    'lease.offered': ({ tools, depth }) => ({
      from: self,
      to: grantee,
      by: 'offer',
      what: `lent for this task: ${shown(text(tools))}; may be lent on: ${text(depth)}`,
    }),
    'lease.redeemed': ({ jkt }) => ({
      from: grantee,
      to: self,
      by: '/sts/token',
      what: `lease_ref exchanged, token bound to key ${text(jkt).slice(0, 8)}…`,
    }),
    'call.allowed': (fact) => ({ ...callback, what: `${tool(fact)} may be called` }),
    'call.refused': (fact) => ({ ...callback, what: `${tool(fact)} REFUSED` }),
    'call.ended': (fact) => ({ ...callback, what: `${tool(fact)}: ${text(fact['outcome'])}` }),
    'approval.asked': (fact) => ({
      from: self,
      to: caller,
      by: 'approval',
      what: `may ${tool(fact)} be called?`,
    }),
    'approval.decided': (fact) => ({
      from: caller,
      to: self,
      by: 'approval',
      what: `${tool(fact)}: ${text(fact['decision'])}`,
    }),
    'question.asked': (fact) => ({
      from: self,
      to: caller,
      by: 'question',
      what: `${tool(fact)} needs the person who lent it`,
    }),
    'question.answered': (fact) => ({
      from: caller,
      to: self,
      by: 'question',
      what: `${tool(fact)}: ${text(fact['action'] ?? 'answered')}`,
    }),
    'lease.ended': ({ how }) => ({ from: self, by: 'lease', what: `ended: ${text(how)}` }),
  };
}

/** What an authorization server tells, by its name and its one client. */
export function serverLines(self: string, gateway: string): Lines {
  return {
    login: ({ who }) => ({ from: text(who), to: self, by: 'browser', what: 'logs in' }),
    consent: ({ who, decision, scopes }) => ({
      from: text(who),
      to: self,
      by: 'browser',
      what: `${text(decision)}: the gateway may have ${text(scopes)}`,
    }),
    token: ({ grant }) => ({ from: gateway, to: self, by: '/token', what: text(grant) }),
    'calendar.added': ({ who, count }) => ({
      from: self,
      by: 'event',
      what: `entered for ${text(who)}, who has ${text(count)} now`,
    }),
  };
}

/** What the agent tells. */
export const agentLines: Lines = {
  'agent.asked': ({ tools }) => ({
    from: 'gateway B',
    to: 'agent',
    by: 'A2A',
    what: `SendMessage, with an offer of ${text(tools)}`,
  }),
  'agent.opened': () => ({
    from: 'agent',
    to: 'gateway B',
    by: '/callback',
    what: 'connected as an MCP client',
  }),
  'agent.calls': ({ tool }) => ({
    from: 'agent',
    to: 'gateway B',
    by: 'MCP',
    what: `tools/call ${text(tool)}`,
  }),
  'agent.heard': ({ tool }) => ({
    from: 'gateway B',
    to: 'agent',
    by: 'MCP',
    what: `result of ${text(tool)}`,
  }),
  'agent.failed': ({ reason }) => ({ from: 'agent', by: 'failure', what: text(reason) }),
  'agent.refused': ({ code }) => ({
    from: 'agent',
    to: 'gateway B',
    by: '/callback',
    what: `tried again after the task: ${text(code)}`,
  }),
};

/** What Alice's computer tells: her assistant and the server behind it. */
export const assistantLines: Lines = {
  'assistant.token': ({ scope }) => ({
    from: 'assistant',
    to: 'gateway A',
    by: '/as/token',
    what: `token for alice: ${text(scope)}`,
  }),
  'assistant.calls': ({ tool }) => ({
    from: 'assistant',
    to: 'gateway A',
    by: 'MCP',
    what: `tools/call ${text(tool)}`,
  }),
  'assistant.asked': ({ mode, message }) => ({
    from: 'gateway A',
    to: 'assistant',
    by: 'MCP',
    what: `elicitation (${text(mode)}): ${text(message)}`,
  }),
  'assistant.answered': ({ answer }) => ({
    from: 'assistant',
    to: 'gateway A',
    by: 'MCP',
    what: `answer: ${text(answer)}`,
  }),
  'assistant.progress': ({ message }) => ({
    from: 'gateway A',
    to: 'assistant',
    by: 'MCP',
    what: `progress: ${text(message)}`,
  }),
  'assistant.result': ({ text: said }) => ({
    from: 'gateway A',
    to: 'assistant',
    by: 'MCP',
    what: `result: ${text(said)}`,
  }),
  'desk.read': () => ({ from: 'desk', by: 'stdio', what: 'a file was read' }),
  'desk.sent': () => ({ from: 'desk', by: 'stdio', what: 'a mail was sent' }),
};
