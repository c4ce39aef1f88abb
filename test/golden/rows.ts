/**
 * One entry for each row of the translation tables: how the `input` of its golden file becomes the
 * `expected`. A file holds named cases; each runs by itself, and a GatewayError is a result too.
 */
import type {
  AgentCard,
  Artifact,
  Message,
  Task,
  TaskState,
  TaskStatus,
} from '../../src/model/a2a.ts';
import { GatewayError } from '../../src/model/errors.ts';
import type { ErrorCode } from '../../src/model/errors.ts';
import type { Json, JsonObject } from '../../src/model/json.ts';
import type {
  CallToolResult,
  ContentBlock,
  InputRequest,
  RpcError,
  RpcOutcome,
} from '../../src/model/mcp.ts';
import { faultOf } from '../../src/mcp/errors.ts';
import type { Catalogue, OpenQuestion, PeerQuestion } from '../../src/ports/peer.ts';
import type { TaskView } from '../../src/ports/tasks.ts';
import {
  artifactFromResult,
  mergeArtifact,
  resourceContentsFromArtifact,
  resourcesFromTask,
  withoutChunks,
} from '../../src/translate/artifacts.ts';
import { contentFromParts, partsFromContent } from '../../src/translate/content.ts';
import { createTaskResult, detailedTask, legacyTask } from '../../src/translate/mcp-tasks.ts';
import type { McpTaskOptions } from '../../src/translate/mcp-tasks.ts';
import {
  inputRequestFor,
  messageFromResponses,
  peerMessageFrom,
  questionStatusParts,
  questionsFromStatus,
  responsesFromMessage,
  stateOfQuestions,
} from '../../src/translate/questions.ts';
import {
  stateFromResult,
  stateFromRpcError,
  toolResultFromMessage,
  toolResultFromTask,
  toolResultNeedingInput,
  toolResultPending,
} from '../../src/translate/results.ts';
import {
  messageFromArguments,
  promptMessages,
  promptsFromCard,
  toolsFromCard,
} from '../../src/translate/skills.ts';
import { mcpStatusOf, taskStateFromMcpStatus } from '../../src/translate/task-state.ts';
import {
  chooseTool,
  skillsFromCatalogue,
  toolCallExtension,
} from '../../src/translate/tool-skills.ts';

/** Translates one case of a golden file. */
export type RowRunner = (input: never) => unknown;

/** What a golden file knows of a task; the rest of a view is the same in all of them. */
interface ViewInput {
  task: Task;
  questions?: OpenQuestion[];
  outcome?: RpcOutcome;
  chunked?: string[];
  canAsk?: boolean;
}

const inlineBytes = 64;

function viewOf(input: ViewInput): TaskView {
  return {
    task: input.task,
    peerId: 'travel',
    seq: 7,
    questions: input.questions ?? [],
    ...(input.chunked === undefined ? {} : { chunked: input.chunked }),
    ...(input.outcome === undefined ? {} : { outcome: input.outcome }),
    createdAt: 1_790_000_000_000,
    updatedAt: 1_790_000_005_000,
    ttlMs: 3_600_000,
    committed: true,
    peerTask: true,
  };
}

const connectUrlOf = (key: string): string => `https://gw.example.org/connect/${key}`;

function optionsOf(input: ViewInput): McpTaskOptions {
  return { connectUrlOf, inlineBytes, pollIntervalMs: 2000, canAsk: () => input.canAsk ?? true };
}

const shown = (question: OpenQuestion): InputRequest =>
  inputRequestFor(question, { connectUrl: connectUrlOf(question.key) });

function keyed(questions: PeerQuestion[]): OpenQuestion[] {
  return questions.map((question, index) => ({ ...question, key: `q${index + 1}` }));
}

/** An interrupt: the questions in it, and as the client is shown them. */
function asked(status: TaskStatus): unknown {
  const questions = keyed(questionsFromStatus(status));
  return { questions, shown: questions.map(shown) };
}

/** Whatever a case throws by design, as it is compared. */
export function outcomeOf(run: RowRunner, input: unknown): unknown {
  try {
    return run(input as never);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return { throws: { code: error.code, message: error.message, facts: error.facts } };
  }
}

/** DESIGN of the A2A → MCP direction: a row's file name and how it runs. */
const agentAsServer = {
  skill: (input: { card?: AgentCard; arguments?: JsonObject; skill?: string }) =>
    input.card === undefined
      ? messageFromArguments(input.arguments ?? {}, input.skill, 'm1')
      : toolsFromCard(input.card),
  'skill-examples': ({ card, name }: { card: AgentCard; name?: string }) =>
    name === undefined ? promptsFromCard(card) : promptMessages(card, name),
  artifacts: (input: { task: Task; chunked?: string[] }) => ({
    resources: resourcesFromTask('travel', input.task, input.chunked),
    contents: (input.task.artifacts ?? []).map((artifact) =>
      resourceContentsFromArtifact(
        'a2a://travel/tasks/t1/artifacts/a1',
        withoutChunks(artifact, input.chunked),
      ),
    ),
  }),
  'direct-message': (message: Message) => toolResultFromMessage(message, { inlineBytes }),
  'submitted-working': (input: ViewInput) => ({
    created: createTaskResult(viewOf(input), optionsOf(input)),
    held: toolResultPending(viewOf(input)),
  }),
  'input-required': (input: ViewInput & { status?: TaskStatus; responses?: JsonObject }) => {
    if (input.status !== undefined) return asked(input.status);
    if (input.responses === undefined) return detailedTask(viewOf(input), optionsOf(input));
    return (
      peerMessageFrom(messageFromResponses(input.responses, 'm1'), input.questions ?? []) ?? null
    );
  },
  'auth-required': (input: ViewInput & { status?: TaskStatus }) =>
    input.status === undefined
      ? detailedTask(viewOf(input), optionsOf(input))
      : asked(input.status),
  'question-answer': (input: { responses: JsonObject; questions: OpenQuestion[] }) =>
    peerMessageFrom(messageFromResponses(input.responses, 'm1'), input.questions) ?? null,
  'auth-required-url': (status: TaskStatus) =>
    questionsFromStatus(status).map(({ url, loss }) => ({ url, loss: loss ?? [] })),
  'client-cannot-be-asked': (input: ViewInput) => ({
    held: toolResultNeedingInput(viewOf(input), { connectUrlOf }),
    task: detailedTask(viewOf({ ...input, canAsk: false }), optionsOf({ ...input, canAsk: false })),
  }),
  completed: (input: ViewInput) => detailedTask(viewOf(input), optionsOf(input)),
  'failed-rejected': (input: ViewInput) => detailedTask(viewOf(input), optionsOf(input)),
  canceled: (input: ViewInput) => ({
    task: detailedTask(viewOf(input), optionsOf(input)),
    held: toolResultFromTask(viewOf(input), { inlineBytes }),
  }),
  'tasks-2025-11-25': (input: ViewInput) => legacyTask(viewOf(input), optionsOf(input)),
  parts: (input: { parts?: Message['parts']; content?: ContentBlock[]; resourceUri?: string }) =>
    input.parts === undefined
      ? partsFromContent(input.content ?? [])
      : contentFromParts(input.parts, {
          inlineBytes,
          ...(input.resourceUri === undefined ? {} : { resourceUri: input.resourceUri }),
        }),
  events: (input: {
    task: Task;
    updates: { artifact: Artifact; append: boolean; lastChunk: boolean }[];
  }) => {
    const artifacts = input.updates.reduce(
      (known, update) => mergeArtifact(known, update),
      input.task.artifacts ?? [],
    );
    const chunked = input.updates.filter((one) => one.append).map((one) => one.artifact.artifactId);
    const view = { task: { ...input.task, artifacts }, chunked };
    return { artifacts, notification: detailedTask(viewOf(view), optionsOf(view)) };
  },
  errors: (input: { code: ErrorCode; message: string; facts?: JsonObject }) =>
    faultOf(new GatewayError(input.code, input.message, { facts: input.facts ?? {} })).error,
} satisfies Record<string, RowRunner>;

const serverAsAgent = {
  tools: (catalogue: Catalogue) => ({
    skills: skillsFromCatalogue(catalogue),
    extension: toolCallExtension(catalogue),
  }),
  'resources-prompts': (input: { catalogue: Catalogue; message?: Message }) =>
    input.message === undefined
      ? skillsFromCatalogue(input.catalogue)
      : chooseTool(input.message, input.catalogue),
  'tool-choice': (input: { catalogue: Catalogue; message: Message }) =>
    chooseTool(input.message, input.catalogue),
  content: (result: CallToolResult) => artifactFromResult(result, 'a1', 'search'),
  'is-error': (result: CallToolResult) => stateFromResult(result),
  'json-rpc-error': (input: { error: RpcError; started: boolean }) =>
    stateFromRpcError(input.error, input.started),
  'elicitation-form': (input: { questions: OpenQuestion[]; message?: Message }) =>
    input.message === undefined
      ? { state: stateOfQuestions(input.questions), parts: questionStatusParts(input.questions) }
      : responsesFromMessage(input.message, input.questions),
  'elicitation-url': (input: { questions: OpenQuestion[]; message?: Message }) =>
    input.message === undefined
      ? {
          state: stateOfQuestions(input.questions),
          parts: questionStatusParts(input.questions),
          shown: input.questions.map(shown),
        }
      : responsesFromMessage(input.message, input.questions),
  sampling: (input: { questions: OpenQuestion[]; message?: Message }) =>
    input.message === undefined
      ? { state: stateOfQuestions(input.questions), parts: questionStatusParts(input.questions) }
      : responsesFromMessage(input.message, input.questions),
  progress: (input: ViewInput) => detailedTask(viewOf(input), optionsOf(input)),
  'task-status': (input: { status: Json }) => {
    const state: TaskState = taskStateFromMcpStatus(input.status);
    return { state, back: mcpStatusOf[state] };
  },
  'cancel-task': (input: ViewInput) => detailedTask(viewOf(input), optionsOf(input)),
  'list-changed': (input: { before: Catalogue; after: Catalogue }) => {
    const before = new Set(skillsFromCatalogue(input.before).map(({ id }) => id));
    return { added: skillsFromCatalogue(input.after).filter(({ id }) => !before.has(id)) };
  },
} satisfies Record<string, RowRunner>;

/** Every row, by the folder of its table and its file name. */
export const tables: Readonly<Record<string, Readonly<Record<string, RowRunner>>>> = {
  'a2a-agent-as-mcp-server': agentAsServer,
  'mcp-server-as-a2a-agent': serverAsAgent,
};
