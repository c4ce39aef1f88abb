import { randomUUID } from 'node:crypto';
import { listenJson, readText, sendJson } from '../json-http.ts';
import type { Listening } from '../json-http.ts';
import { A2A_VERSION, ECHO } from '../wire.ts';
import type { A2aMessage, A2aTask, RpcRequest } from '../wire.ts';

/** How the agent answers: at once with a Message, or at once with a completed Task. */
export type AgentAnswer = 'message' | 'task';

/**
 * An A2A agent with one skill that says back what it is told, written on `node:http` alone so that
 * the peer is never what a row measures. It checks nothing.
 */
export function startEchoAgent(answer: AgentAnswer, port = 0): Promise<Listening> {
  const render = answer === 'message' ? messageAnswer : taskAnswer;
  return listenJson(async (request, response) => {
    if (request.method === 'GET') {
      sendJson(response, 200, card(`http://${request.headers.host ?? ''}/a2a`));
      return;
    }
    const call = JSON.parse(await readText(request)) as RpcRequest<{ message: A2aMessage }>;
    if (call.method === 'SendMessage') {
      sendJson(response, 200, { jsonrpc: '2.0', id: call.id, result: render(call.params.message) });
      return;
    }
    const error = { code: -32601, message: `no method ${call.method}` };
    sendJson(response, 200, { jsonrpc: '2.0', id: call.id, error });
  }, port);
}

function messageAnswer(message: A2aMessage): { message: A2aMessage } {
  return {
    message: {
      messageId: randomUUID(),
      role: 'ROLE_AGENT',
      contextId: message.contextId ?? randomUUID(),
      parts: [{ text: textOf(message) }],
    },
  };
}

function taskAnswer(message: A2aMessage): { task: A2aTask } {
  return {
    task: {
      id: randomUUID(),
      contextId: message.contextId ?? randomUUID(),
      status: { state: 'TASK_STATE_COMPLETED', timestamp: new Date().toISOString() },
      artifacts: [{ artifactId: randomUUID(), name: ECHO, parts: [{ text: textOf(message) }] }],
    },
  };
}

function textOf(message: A2aMessage): string {
  return message.parts.map((part) => part.text ?? '').join('');
}

function card(url: string): unknown {
  return {
    name: 'Bench echo agent',
    description: 'Says back what it is told',
    version: '1.0.0',
    provider: { organization: 'bench', url: 'https://bench.example' },
    supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', protocolVersion: A2A_VERSION }],
    capabilities: { streaming: false, pushNotifications: false },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [{ id: ECHO, name: 'Echo', description: 'Says back what it is told', tags: ['echo'] }],
  };
}
