/**
 * Plays one request through the shop: from a journey and a start time to the spans of its traces,
 * with times, errors and retries. Pure but for the random source; nothing is sent here.
 */
import type { Attributes } from '@opentelemetry/api';
import type { Random } from './random.ts';
import { attributesOf } from './attributes.ts';
import type { Step } from './shop.ts';

export interface Fault {
  readonly type: string;
  readonly message: string;
}

/** One planned span; times are whole nanoseconds after the request's start. */
export interface PlannedSpan {
  readonly step: Step;
  readonly startNs: number;
  readonly endNs: number;
  readonly fault: Fault | undefined;
  readonly attributes: Attributes;
  readonly children: readonly PlannedSpan[];
  /** Traces that start because of this span's message; each root links to this span. */
  readonly consumed: readonly PlannedSpan[];
}

const faults: readonly Fault[] = [
  { type: 'TimeoutError', message: 'deadline of 2000 ms exceeded' },
  { type: 'ConnectionError', message: 'connection reset by peer' },
  { type: 'java.lang.IllegalStateException', message: 'pool exhausted: 0 of 32 connections free' },
  { type: 'ValidationError', message: 'field "quantity" is out of range' },
  { type: 'OutOfStock', message: 'sku is not available' },
];

/** How often a step is caught by a lock, a collection or a cold cache, and takes far longer. */
const slowShare = 0.012;
/** Wait before a second attempt, doubled for each further one. */
const retryPauseMs = 40;
const nsPerMs = 1e6;

/** The tree of one request that starts at 0. */
export function planRequest(root: Step, random: Random): PlannedSpan {
  return planStep(root, 0, 1, random);
}

/** A step, again and again until it succeeds or has used its tries; each try is a span. */
function planTries(step: Step, startNs: number, random: Random): PlannedSpan[] {
  const attempts: PlannedSpan[] = [];
  let atNs = startNs;
  for (let attempt = 1; attempt <= step.tries; attempt += 1) {
    const planned = planStep(step, atNs, attempt, random);
    attempts.push(planned);
    if (!planned.fault) break;
    atNs = planned.endNs + ns(retryPauseMs * 2 ** (attempt - 1) * (0.8 + random.fraction() * 0.4));
  }
  return attempts;
}

function planStep(step: Step, startNs: number, attempt: number, random: Random): PlannedSpan {
  const ownNs = ns(ownTime(step, random));
  const beforeNs = Math.floor(ownNs * (0.2 + random.fraction() * 0.4));
  const { children, endNs: childrenEndNs } = planChildren(step, startNs + beforeNs, random);
  const endNs = childrenEndNs + (ownNs - beforeNs);
  const fault = faultOf(step, children, random);
  const consumed = fault
    ? []
    : step.consumers.map((consumer) =>
        planStep(consumer, endNs + ns(random.logNormal(25, 1)), 1, random),
      );
  const attributes = attributesOf(step, fault !== undefined, attempt, random);
  return { step, startNs, endNs, fault, attributes, children, consumed };
}

function planChildren(
  step: Step,
  startNs: number,
  random: Random,
): { children: PlannedSpan[]; endNs: number } {
  const children: PlannedSpan[] = [];
  let [atNs, endNs] = [startNs, startNs];
  for (const child of step.children) {
    if (!random.chance(child.chance)) continue;
    const tries = planTries(child, atNs, random);
    children.push(...tries);
    endNs = Math.max(endNs, tries.at(-1)?.endNs ?? endNs);
    if (step.parallel) continue;
    // A request that has failed does no more work.
    if (tries.at(-1)?.fault && !child.optional) break;
    atNs = endNs + ns(0.05 + random.fraction() * 0.2);
  }
  return { children, endNs };
}

/** The step's own fault, or that of the last try of a child that it cannot do without. */
function faultOf(step: Step, children: readonly PlannedSpan[], random: Random): Fault | undefined {
  if (random.chance(step.errorRate)) return random.pick(faults);
  for (const child of new Set(children.map((planned) => planned.step))) {
    const last = children.findLast((planned) => planned.step === child);
    if (!last?.fault || child.optional) continue;
    return { type: 'UpstreamError', message: `${child.service} failed: ${last.fault.message}` };
  }
  return undefined;
}

function ownTime(step: Step, random: Random): number {
  const timeMs = random.logNormal(step.medianMs, step.sigma);
  return random.chance(slowShare) ? timeMs * (4 + random.fraction() * 30) : timeMs;
}

function ns(timeMs: number): number {
  return Math.max(1, Math.round(timeMs * nsPerMs));
}
