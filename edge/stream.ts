/**
 * Gives large bodies to the network piece by piece. A body that is given whole is copied whole by
 * the runtime, and an isolate has no memory for that. It changes no byte.
 */
import { streamedBodyBytesMin, streamedPieceBytes } from '../schemas/limits.ts';

/** `bytes` as a body whose length is known. They must not change until the answer is there. */
export function streamed(bytes: Uint8Array): BodyInit {
  if (bytes.length < streamedBodyBytesMin) return bytes;
  let at = 0;
  const pieces = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const end = Math.min(at + streamedPieceBytes, bytes.length);
        controller.enqueue(bytes.subarray(at, end));
        at = end;
        if (at === bytes.length) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  return pieces.pipeThrough(new FixedLengthStream(bytes.length));
}
