/** How the metric tables are proved in slices: of tenants' services, which have their series to themselves. */
import type { WholeSlices } from '../verify.ts';

export const pointSlices: WholeSlices = {
  by: ['TenantId', 'ServiceName'],
  tableBy: ['tenant_id', 'service_name'],
};
