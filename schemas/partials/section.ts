/** Parts of an object that know their length before they are written, so that all are written once, to one place. */

export interface Section {
  readonly length: number;
  /** Writes it to as many bytes; to be called once. */
  write(to: Uint8Array): void;
}

/**
 * The sections, one behind the other, in a buffer that can be resized to nothing: its memory comes from the system and
 * goes back there, however large it is, and leaves no hole in the heap.
 */
export function joinSections(sections: readonly Section[]): Uint8Array<ArrayBuffer> {
  const length = sections.reduce((sum, section) => sum + section.length, 0);
  const bytes = new Uint8Array(new ArrayBuffer(length, { maxByteLength: length }));
  let at = 0;
  for (const section of sections) {
    section.write(bytes.subarray(at, at + section.length));
    at += section.length;
  }
  return bytes;
}
