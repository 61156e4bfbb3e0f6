/** The dictionaries of a signal's columns, and the codes of what owns items. */
import { codeOf, Dictionary, makeRoom, materialize } from '../memory/dictionary';
import { Resource, Scope } from '../otlp/record';
import { metricsSignal, signal } from '../otlp/signal';

/** Two that a request adds at most one text to; then those of owners. */
export const tenantIds: i32 = 0;
export const topicNames: i32 = 1;
const firstOfItems: i32 = 2;
export const serviceNames: i32 = 2;
export const resourceUrls: i32 = 3;
export const scopeNames: i32 = 4;
export const scopeVersions: i32 = 5;
export const scopeUrls: i32 = 6;
/** Numbers from here on mean something else in each signal; `dictionaryCount` says how many. */
export const spanNames: i32 = 7;
export const peerNames: i32 = 8;
export const severityTexts: i32 = 7;
export const eventNames: i32 = 8;
export const metricNames: i32 = 7;
export const metricDescriptions: i32 = 8;
export const metricUnits: i32 = 9;

const dictionariesMax: usize = 16;
const dictionaries = memory.data(512, 8);

function dictionaryCount(): i32 {
  return signal == metricsSignal ? 10 : 9;
}

/** One of the dictionaries above. */
// @ts-ignore: decorator
@inline
export function dictionaryOf(index: i32): Dictionary {
  return changetype<Dictionary>(dictionaries + (<usize>index << 5));
}

/** Empties all dictionaries. */
export function clearCodes(): void {
  memory.fill(dictionaries, 0, dictionariesMax << 5);
}

/** Makes room for the texts of a request of `count` items. False when there is none. */
export function makeRooms(count: u32): bool {
  for (let index = 0; index < dictionaryCount(); index++) {
    if (!makeRoom(dictionaryOf(index), index < firstOfItems ? 1 : count)) return false;
  }
  return true;
}

export function codeResource(resource: Resource): void {
  const services = dictionaryOf(serviceNames);
  resource.serviceCode = codeOf(services, resource.service, resource.serviceBytes);
  const urls = dictionaryOf(resourceUrls);
  resource.schemaUrlCode = codeOf(urls, resource.schemaUrl, resource.schemaUrlBytes);
}

export function codeScope(scope: Scope): void {
  scope.nameCode = codeOf(dictionaryOf(scopeNames), scope.name, scope.nameBytes);
  scope.versionCode = codeOf(dictionaryOf(scopeVersions), scope.version, scope.versionBytes);
  scope.schemaUrlCode = codeOf(dictionaryOf(scopeUrls), scope.schemaUrl, scope.schemaUrlBytes);
}

/** Writes the values of all dictionaries at the arena's top. */
export function materializeAll(): bool {
  for (let index = 0; index < dictionaryCount(); index++) {
    if (!materialize(dictionaryOf(index))) return false;
  }
  return true;
}
