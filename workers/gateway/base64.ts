/** Decodes base64 strictly: the runtime's own decoder skips what it does not know. */

/** The bytes of RFC 4648 base64 with padding; `undefined` when the text is anything else. */
export function fromBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || /[^A-Za-z0-9+/=]/.test(text)) return undefined;
  const padding = text.indexOf('=') === -1 ? 0 : text.length - text.indexOf('=');
  const isPadded = padding === 0 || text.endsWith('='.repeat(padding));
  if (padding > 2 || !isPadded) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === (text.length / 4) * 3 - padding ? bytes : undefined;
}
