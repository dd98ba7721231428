// Pixels of the model, uint8 (H, W, C), to canvases and back.

import { facts } from "./payload.js";

export const [height, width, channels] = facts.imageShape;
/** How many numbers an image has. */
export const imageSize = height * width * channels;

/** RGBA of the model's pixels, for a canvas. */
export function imageData(pixels) {
  const data = new Uint8ClampedArray(height * width * 4);
  for (let place = 0; place < height * width; place += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      data[4 * place + channel] = pixels[channels * place + Math.min(channel, channels - 1)];
    }
    data[4 * place + 3] = 255;
  }
  return new ImageData(data, width, height);
}

/** Draw the model's pixels on a canvas of the image's size. */
export function show(canvas, pixels) {
  canvas.getContext("2d").putImageData(imageData(pixels), 0, 0);
}

/** A canvas of the image's size; its style makes it larger. */
export function newCanvas(pixels) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  if (pixels) show(canvas, pixels);
  return canvas;
}

/** The model's pixels of a context of the image's size; grey ones by luma (ITU-R 601). */
export function pixelsOf(context) {
  const { data } = context.getImageData(0, 0, width, height);
  const pixels = new Uint8Array(imageSize);
  for (let place = 0; place < height * width; place += 1) {
    const [red, green, blue] = data.subarray(4 * place, 4 * place + 3);
    if (channels === 3) pixels.set([red, green, blue], 3 * place);
    else pixels[place] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
  }
  return pixels;
}

/** An image file as the model takes it: the middle part of its proportions, resized. Transparent parts are paper. */
export async function pixelsOfFile(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const [partWidth, partHeight] = [width / scale, height / scale];
  const left = (bitmap.width - partWidth) / 2;
  const top = (bitmap.height - partHeight) / 2;
  const resized = await createImageBitmap(bitmap, left, top, partWidth, partHeight, {
    resizeWidth: width,
    resizeHeight: height,
    resizeQuality: "high",
  });
  const canvas = newCanvas();
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = facts.drawing.paper ? "#fff" : "#000";
  context.fillRect(0, 0, width, height);
  context.drawImage(resized, 0, 0);
  const pixels = pixelsOf(context);
  return channels === 1 && isInverted(pixels) ? pixels.map((value) => 255 - value) : pixels;
}

/** Whether the edges are as bright as the model's images are dark there, or the other way round: a scan of a drawing. */
function isInverted(pixels) {
  const rows = [0, height - 1];
  const edges = Array.from(pixels).filter((_, place) => rows.includes(Math.floor(place / width)));
  const mean = edges.reduce((sum, value) => sum + value, 0) / edges.length;
  return Math.abs(mean - facts.drawing.paper) > 160;
}

/** Offer a file to save. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Images side by side as a PNG, each pixel enlarged until an image has about 256. */
export function pngOf(images) {
  const scale = enlargement(256);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: images.length * width * scale, height: height * scale });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  images.forEach((pixels, index) => {
    context.drawImage(newCanvas(pixels), index * width * scale, 0, width * scale, height * scale);
  });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** The whole number by which a pixel is enlarged for pictures of about `size` pixels. */
export function enlargement(size) {
  return Math.max(1, Math.round(size / Math.max(height, width)));
}

/** A name for a file: letters, digits and dashes of the model's name. */
export function fileName(what, ending) {
  return `${facts.name.replace(/[^\w-]+/g, "-").slice(0, 60)}-${what}.${ending}`;
}
