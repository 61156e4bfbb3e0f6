/**
 * The conductor of one Durable Object: gathers the batches of a signal into groups and gives each
 * group to the legs. It keeps nothing on disk: what is not answered is sent again by its client.
 */
import { TidemarkError } from '../../schemas/errors.ts';
import { readSettings, settingTexts } from '../../schemas/settings.ts';
import type { GroupAnswer, GroupStub } from '../commit.ts';
import { fanOut } from '../fanout.ts';
import type { FanoutTools } from '../fanout.ts';
import { Grouping } from './group.ts';
import type { GroupTools } from './group.ts';
import { Meter } from '../meter.ts';
import { openSinks } from '../sink.ts';
import type { CertificateBinding } from '../sink.ts';
import type { SpoolBucket } from '../spool.ts';

/** What the entry takes from the runtime for a group. */
export interface GatherTools
  extends Omit<FanoutTools, 'bucket' | 'meter' | 'sinks'>, Pick<GroupTools, 'later'> {
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Bindings of the object, and any setting of `schemas/settings.ts` as text. */
export interface GroupEnv {
  readonly ARCHIVE: SpoolBucket;
  readonly KAFKA_REST_MTLS?: CertificateBinding;
}

/** Makes the groups of one object. Throws `SettingError` when the settings cannot be used. */
export function createGroup(env: GroupEnv, tools: GatherTools): GroupStub {
  const settings = readSettings(settingTexts(env));
  const meter = new Meter();
  const sinks = openSinks(settings, env, tools);
  const legs = { ...tools, bucket: env.ARCHIVE, meter, sinks };
  const grouping = new Grouping(settings, {
    commit: (batch) => fanOut(batch, settings, legs),
    later: tools.later,
  });
  return {
    add: async (batch): Promise<GroupAnswer> => {
      try {
        const grouped = await grouping.add(batch);
        // The first request of a group takes along what its object has counted.
        return { ...grouped, reading: grouped.requests > 0 ? meter.take() : [] };
      } catch (error) {
        if (!(error instanceof TidemarkError)) throw error;
        return { fault: { code: error.code, message: error.message } };
      }
    },
  };
}
