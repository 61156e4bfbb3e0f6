/** Reads Status bodies and export responses in tests, protobuf ones with protobufjs's reader. */
import protobuf from 'protobufjs';
import { decode } from './proto.ts';

export interface Status {
  readonly code: number;
  readonly message: string;
  /** The path of each BadRequest violation. */
  readonly fields: string[];
}

const rpc = protobuf.parse(`syntax = "proto3";
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Any { string type_url = 1; bytes value = 2; }
  message BadRequest { repeated Violation field_violations = 1; }
  message Violation { string field = 1; string description = 2; }`).root;
rpc.resolveAll();

/** Reads the body of `response` as a `google.rpc.Status`, by its Content-Type. */
export async function statusOf(response: Response): Promise<Status> {
  if (response.headers.get('content-type') === 'application/json') {
    const status = await response.json<{
      code: number;
      message: string;
      details?: { '@type': string; fieldViolations: { field: string }[] }[];
    }>();
    const fields = (status.details ?? []).flatMap((any) => {
      if (any['@type'] !== 'type.googleapis.com/google.rpc.BadRequest') throw new Error('no type');
      return any.fieldViolations.map(({ field }) => field);
    });
    return { code: status.code, message: status.message, fields };
  }
  const status = decode('Status', new Uint8Array(await response.arrayBuffer()), rpc);
  const details = (status['details'] ?? []) as { typeUrl: string; value: string }[];
  const fields = details.flatMap(({ typeUrl, value }) => {
    if (typeUrl !== 'type.googleapis.com/google.rpc.BadRequest') throw new Error('no type');
    const bytes = Uint8Array.from(value.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    const bad = decode('BadRequest', bytes, rpc) as { fieldViolations: { field: string }[] };
    return bad.fieldViolations.map(({ field }) => field);
  });
  return { code: Number(status['code']), message: String(status['message']), fields };
}

/** Reads the body of `response` as an export response in protobuf; by default one of traces. */
export async function exportedOf(
  response: Response,
  name = 'ExportTraceServiceResponse',
): Promise<unknown> {
  return decode(name, new Uint8Array(await response.arrayBuffer()));
}
