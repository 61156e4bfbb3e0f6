/**
 * Shows how far a long step is: one line that is rewritten on a terminal, plain lines now and then
 * elsewhere. Never writes results.
 */

/** Where progress goes: `process.stderr`, or a collector in a test. */
export interface ProgressSink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

/** Pause between two updates of one step. */
const terminalPauseMs = 100;
const plainPauseMs = 5000;

/** Progress of steps that come one after the other. */
export class Progress {
  readonly #sink: ProgressSink;
  readonly #monotonicMs: () => number;
  readonly #startMs: number;
  #title = '';
  #stepMs = 0;
  #shownMs = 0;

  /** `monotonicMs` tells milliseconds of a clock that only goes forward. */
  constructor(sink: ProgressSink, monotonicMs: () => number) {
    this.#sink = sink;
    this.#monotonicMs = monotonicMs;
    this.#startMs = monotonicMs();
  }

  /** Milliseconds since the first step. */
  get elapsedMs(): number {
    return this.#monotonicMs() - this.#startMs;
  }

  /** Milliseconds since the current step began. */
  get stepMs(): number {
    return this.#monotonicMs() - this.#stepMs;
  }

  /** Begins a step. */
  begin(title: string): void {
    this.#title = title;
    this.#stepMs = this.#monotonicMs();
    this.#shownMs = this.#stepMs;
    if (this.#sink.isTTY) this.#sink.write(`  … ${title}`);
  }

  /** Says how far the step is; most calls show nothing. */
  update(detail: string): void {
    const nowMs = this.#monotonicMs();
    const pauseMs = this.#sink.isTTY ? terminalPauseMs : plainPauseMs;
    if (nowMs - this.#shownMs < pauseMs) return;
    this.#shownMs = nowMs;
    if (this.#sink.isTTY) this.#sink.write(`\r\u001B[K  … ${this.#title}: ${detail}`);
    else this.#sink.write(`  … ${this.#title}: ${detail}\n`);
  }

  /** Ends the step with its result. */
  end(result: string): void {
    const seconds = (this.stepMs / 1000).toFixed(1);
    const clear = this.#sink.isTTY ? '\r\u001B[K' : '';
    this.#sink.write(`${clear}  ✓ ${this.#title}: ${result} (${seconds} s)\n`);
    this.#title = '';
  }

  /** Leaves the line of a step that failed, so that what follows begins a line. */
  fail(): void {
    if (this.#title !== '')
      this.#sink.write(`${this.#sink.isTTY ? '\r\u001B[K' : ''}  ✗ ${this.#title}\n`);
    this.#title = '';
  }
}
