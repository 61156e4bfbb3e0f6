/** Prints the suite's closing line, `N passed, N failed, N skipped`, which CI reads. */
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** Counts every test case of every project; a module that did not load counts as one failure. */
export default class ClosingLine implements Reporter {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  onTestCaseResult(test: TestCase): void {
    const { state } = test.result();
    if (state === 'passed') this.#passed += 1;
    else if (state === 'failed') this.#failed += 1;
    else this.#skipped += 1;
  }

  onTestModuleEnd(module: TestModule): void {
    if (module.errors().length > 0) this.#failed += 1;
  }

  onTestRunEnd(_modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.#failed += unhandledErrors.length;
    const skipped = this.#skipped > 0 ? `, ${this.#skipped} skipped` : '';
    process.stdout.write(`\n${this.#passed} passed, ${this.#failed} failed${skipped}\n`);
  }
}
