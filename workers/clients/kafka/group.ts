/** What a cluster says of a consumer group: how far it is, and who is in it. Never changes either. */
import type { Admin } from 'kafkajs';
import { attempt } from './fault.ts';

/** Every method throws `KafkaError` once its tries are spent. */
export interface GroupCalls {
  /** Offsets that the group has committed, by partition; none for a partition that it has not. */
  committed(groupId: string, topic: string): Promise<ReadonlyMap<number, bigint>>;
  /** Members of the group now; 0 for a group that there is not. */
  members(groupId: string): Promise<number>;
}

/** The calls over an admin client that is connected. */
export function groupCalls(admin: Admin): GroupCalls {
  return {
    committed: (groupId, topic) =>
      attempt(`Cannot read the offsets of group ${groupId}`, async () => {
        const [found] = await admin.fetchOffsets({ groupId, topics: [topic] });
        const known = (found?.partitions ?? []).map(
          ({ partition, offset }) => [partition, BigInt(offset)] as const,
        );
        // Kafka says -1 of a partition that nothing was committed of.
        return new Map(known.filter(([, offset]) => offset >= 0n));
      }),
    members: (groupId) =>
      attempt(`Cannot look up group ${groupId}`, async () => {
        const { groups } = await admin.describeGroups([groupId]);
        return groups[0]?.members.length ?? 0;
      }),
  };
}
