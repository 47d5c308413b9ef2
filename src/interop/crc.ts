/**
 * Cyclic redundancy checks of 32 bits, lowest bit first: CRC-32 (zip, gzip) and CRC-32C (Castagnoli; RFC 3720, appendix
 * B.4), one table of 256 remainders each.
 */

export const crc32 = crc(0xedb88320);
export const crc32c = crc(0x82f63b78);

/** By the polynomial, bits reversed. */
function crc(polynomial: number): (bytes: Uint8Array) => number {
  const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    let r = byte;
    for (let bit = 0; bit < 8; bit++) r = r & 1 ? (r >>> 1) ^ polynomial : r >>> 1;
    return r;
  });
  return (bytes) => {
    let r = ~0;
    for (let k = 0; k < bytes.length; k++) r = table[(r ^ bytes[k]!) & 255]! ^ (r >>> 8);
    return ~r >>> 0;
  };
}
