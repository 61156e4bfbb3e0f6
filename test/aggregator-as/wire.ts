/** Protobuf's wire format written by hand, so that tests can write what no encoder would. */

/** A varint; `extra` continuation bytes make it longer than it need be. */
export function varint(value: bigint | number, extra = 0): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 0x7fn));
    rest >>= 7n;
  } while (rest > 0n);
  for (let count = 0; count < extra; count++) bytes.push(0);
  return bytes.map((byte, index) => (index < bytes.length - 1 ? byte | 0x80 : byte));
}

export function tag(field: number, wireType: number): number[] {
  return varint(field * 8 + wireType);
}

export function varintField(field: number, value: bigint | number): Uint8Array {
  return Uint8Array.from([...tag(field, 0), ...varint(value)]);
}

export function fixed64Field(field: number, value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return Buffer.concat([Buffer.from(tag(field, 1)), bytes]);
}

export function fixed32Field(field: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return Buffer.concat([Buffer.from(tag(field, 5)), bytes]);
}

/** A string, bytes or message field. */
export function bytesField(field: number, content: Uint8Array | string, extra = 0): Uint8Array {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return Buffer.concat([Buffer.from([...tag(field, 2), ...varint(bytes.length, extra)]), bytes]);
}

export function groupField(field: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(tag(field, 3)), content, Buffer.from(tag(field, 4))]);
}

export function message(...fields: Uint8Array[]): Uint8Array {
  return Buffer.concat(fields);
}

/** A KeyValue with a string value. */
export function textAttribute(key: string, value: string): Uint8Array {
  return message(bytesField(1, key), bytesField(2, bytesField(1, value)));
}

export const traceId = Buffer.from('0102030405060708090a0b0c0d0e0f10', 'hex');
export const spanId = Buffer.from('a1a2a3a4a5a6a7a8', 'hex');

/** A request of one resource and scope, which hold these spans. */
export function requestOf(...spans: Uint8Array[]): Uint8Array {
  return bytesField(1, bytesField(2, message(...spans.map((span) => bytesField(2, span)))));
}

/** A request of one valid span that has these attributes' KeyValue messages besides its ids. */
export function requestWith(...attributes: Uint8Array[]): Uint8Array {
  return requestOf(
    message(
      bytesField(1, traceId),
      bytesField(2, spanId),
      fixed64Field(7, 1_700_000_000_000_000_000n),
      ...attributes.map((attribute) => bytesField(9, attribute)),
    ),
  );
}
