// Where a quote stands in a text. The service counts bytes of UTF-8, strings here count units of UTF-16.

/** The index in `text` of the byte `offset` of its UTF-8; -1 inside a character or past the end. */
export function indexOfByte(text, offset) {
  return indicesOfBytes(text, [offset])[0];
}

/** The same for offsets that never fall, in one walk over the text. */
export function indicesOfBytes(text, offsets) {
  let bytes = 0;
  let index = 0;
  return offsets.map((offset) => {
    while (bytes < offset && index < text.length) {
      const point = text.codePointAt(index);
      bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
      index += point < 0x10000 ? 1 : 2;
    }
    return bytes === offset ? index : -1;
  });
}

/** `[from, to]` of the quote in the text of a chunk that begins at byte `origin` of its document, or null. What the
 *  offsets name must be the quote itself: a wrong place marked would be worse than none. */
export function locate(text, origin, { quote, start, end } = {}) {
  if (!quote) return null;
  if (Number.isInteger(origin) && Number.isInteger(start) && Number.isInteger(end)) {
    const from = indexOfByte(text, start - origin);
    const to = indexOfByte(text, end - origin);
    if (from >= 0 && to > from && text.slice(from, to) === quote) return [from, to];
  }
  const found = text.indexOf(quote);
  return found < 0 ? null : [found, found + quote.length];
}
