/**
 * The thread of one run: QuickJS in WebAssembly, with nothing of Node.js in it. Time and memory are
 * bounded from within; whoever started the thread ends it where that is not enough.
 */
import { parentPort, workerData } from 'node:worker_threads';
import {
  newQuickJSWASMModule,
  type QuickJSContext,
  type QuickJSDeferredPromise,
  type QuickJSHandle,
} from 'quickjs-emscripten';
import { asFunction, prelude } from './prelude.ts';
import type { Answer, FromThread, Job } from './protocol.ts';

/** So many steps of promises are taken before the clock is looked at. */
const stepsAtOnce = 500;

class Run {
  readonly #context: QuickJSContext;
  readonly #job: Job;
  readonly #waiting = new Map<number, QuickJSDeferredPromise>();
  #lastCall = 0;
  #printed = 0;
  /** Milliseconds of computing so far, and since when it goes on. */
  #computed = 0;
  #since = 0;
  #main: QuickJSHandle | undefined;
  #toJson: QuickJSHandle | undefined;

  constructor(context: QuickJSContext, job: Job) {
    this.#context = context;
    this.#job = job;
    const { runtime } = context;
    runtime.setMemoryLimit(job.limits.memoryBytes);
    runtime.setMaxStackSize(job.limits.stackBytes);
    runtime.setInterruptHandler(() => this.#isLate());
  }

  start(): void {
    this.#compute(() => {
      this.#install();
      this.#toJson = this.#unwrapped(this.#context.evalCode(prelude, 'prelude.js'));
      const code = asFunction(this.#job.code);
      this.#main = this.#unwrapped(this.#context.evalCode(code, 'code.js'));
    });
  }

  answer({ id, ok, text }: Answer): void {
    const deferred = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#compute(() => {
      if (ok) return deferred?.resolve(this.#context.newString(text));
      deferred?.reject(this.#context.newError(text));
    });
  }

  #install(): void {
    const context = this.#context;
    const call = context.newFunction('hostCall', (name, args) =>
      this.#call(context.getString(name), context.getString(args)),
    );
    const print = context.newFunction('hostPrint', (line) => {
      this.#print(context.getString(line));
    });
    context.setProp(context.global, 'hostCall', call);
    context.setProp(context.global, 'hostPrint', print);
    const tools = context.newString(JSON.stringify(this.#job.tools));
    context.setProp(context.global, 'hostTools', tools);
  }

  #call(name: string, args: string): QuickJSHandle {
    const deferred = this.#context.newPromise();
    this.#lastCall += 1;
    const refusal = this.#refusal(args);
    if (refusal !== undefined) {
      deferred.reject(this.#context.newError(refusal));
      return deferred.handle;
    }
    this.#waiting.set(this.#lastCall, deferred);
    say({ kind: 'call', id: this.#lastCall, name, arguments: args });
    return deferred.handle;
  }

  #refusal(args: string): string | undefined {
    const { calls, arguments: most } = this.#job.limits;
    if (this.#lastCall > calls) return `No more than ${calls} calls are made.`;
    return args.length > most ? `Arguments have ${most} characters at the most.` : undefined;
  }

  #print(line: string): void {
    const most = this.#job.limits.console;
    if (this.#printed > most) return;
    const rest = most - this.#printed;
    this.#printed += line.length + 1;
    say({
      kind: 'console',
      line: line.length > rest ? `${line.slice(0, rest)}… (no more is kept)` : line,
    });
  }

  /** Lets the code compute until it waits, and looks at what came of it. */
  #compute(begin: () => void): void {
    this.#since = performance.now();
    try {
      begin();
      while (this.#context.runtime.hasPendingJob()) {
        const steps = this.#context.runtime.executePendingJobs(stepsAtOnce);
        if (steps.error !== undefined) throw new Error(this.#words(steps.error));
        if (this.#isLate()) throw new Error('interrupted');
      }
      this.#settle();
    } catch (error) {
      const words = error instanceof Error ? error.message : 'the sandbox broke down';
      say({ kind: 'failed', error: this.#isLate() ? this.#lateness() : words });
    }
    this.#computed += performance.now() - this.#since;
    this.#since = 0;
  }

  #settle(): void {
    if (this.#main === undefined) return;
    const state = this.#context.getPromiseState(this.#main);
    if (state.type === 'rejected') throw new Error(this.#words(state.error));
    if (state.type === 'pending') {
      if (this.#waiting.size > 0) return;
      // There are no timers: nothing is left that could let it go on.
      throw new Error('The code waits for something that never happens.');
    }
    const { undefined: nothing } = this.#context;
    const json = this.#unwrapped(
      this.#context.callFunction(this.#toJson ?? nothing, nothing, state.value),
    );
    const { value: most } = this.#job.limits;
    const text =
      this.#context.typeof(json) === 'string' ? this.#context.getString(json) : undefined;
    if (text !== undefined && text.length > most) {
      throw new Error(`The value has ${text.length} characters, more than ${most}: return less.`);
    }
    say({ kind: 'done', value: text });
  }

  #unwrapped(result: ReturnType<QuickJSContext['evalCode']>): QuickJSHandle {
    if (result.error !== undefined) throw new Error(this.#words(result.error));
    return result.value;
  }

  /** What the code threw, as text; however large it is. */
  #words(thrown: QuickJSHandle): string {
    const { message, name } = asRecord(this.#context.dump(thrown));
    if (typeof message !== 'string') return 'The code threw something that is no error.';
    return `${typeof name === 'string' ? name : 'Error'}: ${message}`.slice(0, 1000);
  }

  #isLate(): boolean {
    return this.#computed + performance.now() - this.#since > this.#job.limits.computeMs;
  }

  #lateness(): string {
    return `The code computed for more than ${this.#job.limits.computeMs} ms and was stopped.`;
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function say(message: FromThread): void {
  parentPort?.postMessage(message);
}

const quickjs = await newQuickJSWASMModule();
const run = new Run(quickjs.newContext(), workerData as Job);
parentPort?.on('message', (answer: Answer) => run.answer(answer));
run.start();
