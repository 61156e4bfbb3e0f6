/** CRC-32C (Castagnoli), the checksum of Kafka's record batches: RFC 3720, appendix B.4. */

/** Its polynomial, bits reversed. */
const polynomial = 0x82_f6_3b_78;

let tables: readonly Uint32Array[] | undefined;

/** The checksum of `bytes`, as an unsigned number of 32 bits. Four bytes at a time. */
export function crc32c(bytes: Uint8Array): number {
  const [t0, t1, t2, t3] = (tables ??= makeTables()) as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = -1;
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    crc ^= view.getInt32(at, true);
    crc =
      (t3[crc & 0xff] ?? 0) ^
      (t2[(crc >>> 8) & 0xff] ?? 0) ^
      (t1[(crc >>> 16) & 0xff] ?? 0) ^
      (t0[crc >>> 24] ?? 0);
  }
  for (; at < bytes.length; at += 1) {
    crc = (t0[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** What a byte does to the checksum, and what it does with one, two and three bytes behind it. */
function makeTables(): Uint32Array[] {
  const own = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
  const made = [own];
  for (let table = own; made.length < 4; made.push(table)) {
    table = table.map((crc) => (crc >>> 8) ^ (own[crc & 0xff] ?? 0));
  }
  return made;
}
