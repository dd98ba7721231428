// A GIF89a encoder for a few small frames: greys as they are, colours on a fixed palette with ordered dithering.

import { channels, enlargement, height, width } from "./pixels.js";

// 6 · 7 · 6 colours: the eye tells greens apart best.
const LEVELS = [6, 7, 6];
// Bayer's matrix of 4 × 4, in (-1/2, 1/2).
const BAYER = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5].map((value) => (value + 0.5) / 16 - 0.5);

/** An endless animation of images, uint8 (H, W, C) each, `delay` hundredths of a second apart. */
export function gifOf(images, delay) {
  const scale = enlargement(224);
  const bytes = [];
  const word = (value) => [value & 255, value >> 8];
  const size = [...word(width * scale), ...word(height * scale)];
  bytes.push(...text("GIF89a"), ...size, 0xf7, 0, 0, ...palette());
  bytes.push(0x21, 0xff, 11, ...text("NETSCAPE2.0"), 3, 1, 0, 0, 0);
  for (const pixels of images) {
    bytes.push(0x21, 0xf9, 4, 0, ...word(delay), 0, 0, 0x2c, 0, 0, 0, 0, ...size, 0, 8);
    const data = compressed(enlarged(indices(pixels), scale));
    for (let start = 0; start < data.length; start += 255) {
      const part = data.slice(start, start + 255);
      bytes.push(part.length, ...part);
    }
    bytes.push(0);
  }
  bytes.push(0x3b);
  return new Blob([Uint8Array.from(bytes)], { type: "image/gif" });
}

const text = (letters) => Array.from(letters, (letter) => letter.charCodeAt(0));

/** 256 colours, three bytes each. */
function palette() {
  const colours = new Uint8Array(3 * 256);
  if (channels === 1) return colours.map((_, place) => Math.floor(place / 3));
  const [reds, greens, blues] = LEVELS;
  for (let index = 0; index < reds * greens * blues; index += 1) {
    const steps = [Math.floor(index / (greens * blues)), Math.floor(index / blues) % greens, index % blues];
    colours.set(
      steps.map((step, channel) => Math.round((255 * step) / (LEVELS[channel] - 1))),
      3 * index,
    );
  }
  return colours;
}

/** The number of each pixel's colour. */
function indices(pixels) {
  if (channels === 1) return pixels;
  const [, greens, blues] = LEVELS;
  return Uint8Array.from({ length: height * width }, (_, place) => {
    const nudge = BAYER[4 * (Math.floor(place / width) % 4) + ((place % width) % 4)];
    const [red, green, blue] = LEVELS.map((levels, channel) => {
      const exact = (pixels[3 * place + channel] / 255) * (levels - 1);
      return Math.min(levels - 1, Math.max(0, Math.round(exact + nudge)));
    });
    return (red * greens + green) * blues + blue;
  });
}

function enlarged(values, scale) {
  const result = new Uint8Array(values.length * scale * scale);
  for (let place = 0; place < result.length; place += 1) {
    const row = Math.floor(place / (width * scale) / scale);
    result[place] = values[row * width + Math.floor((place % (width * scale)) / scale)];
  }
  return result;
}

/** Variable-length LZW of bytes, as GIF has it: 256 clears the table, and 257 ends. */
function compressed(values) {
  const [clear, end] = [256, 257];
  const result = [];
  let [held, count, bits] = [0, 0, 9];
  const put = (code) => {
    held |= code << count;
    for (count += bits; count >= 8; count -= 8, held >>>= 8) result.push(held & 255);
  };
  let table = new Map();
  put(clear);
  let prefix = values[0];
  for (const value of values.subarray(1)) {
    const key = (prefix << 8) | value;
    const found = table.get(key);
    if (found !== undefined) {
      prefix = found;
      continue;
    }
    put(prefix);
    const code = end + 1 + table.size;
    if (code < 4096) {
      table.set(key, code);
      // A reader's table is one entry behind.
      if (code === 1 << bits) bits += 1;
    } else {
      put(clear);
      table = new Map();
      bits = 9;
    }
    prefix = value;
  }
  put(prefix);
  put(end);
  if (count > 0) result.push(held & 255);
  return result;
}
