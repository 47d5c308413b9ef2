/**
 * A reporter of tests that passed only when they were tried again, as vitest.config.ts lets them on CI, and of what went
 * wrong before. Such a test waits for a moment instead of for what it needs, or has found a race: it is to be mended.
 */
import type { Reporter, TestCase } from "vitest/node";

export default class SecondGo implements Reporter {
  onTestCaseResult(test: TestCase): void {
    if (!test.diagnostic()?.flaky) return;
    const why = test.result().errors?.[0]?.message.split("\n")[0];
    console.log(` SECOND GO  ${test.module.relativeModuleId} > ${test.fullName}: ${why}`);
  }
}
