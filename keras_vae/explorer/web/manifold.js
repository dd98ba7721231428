// The background of the plane: the images that the decoder makes there, one in each of many tiles.

import { height, imageSize, newCanvas, width } from "./pixels.js";
import { movedOn, placeOn } from "./vectors.js";

// Tiles along a side, and how many are decoded at a time: between them, what is dragged comes first.
const TILES = 17;
const TILES_AT_A_TIME = 4;
// Tiles until the plane is drawn again.
const TILES_AT_A_GLANCE = 48;
// Milliseconds that a place must rest until its background is drawn, and until another look whether the model is free.
const REST = 200;
const AWAY = 30;
// How far apart two latents are that have the same background.
const SAME = 1e-3;

export class Manifold {
  #canvas = newCanvas();
  #version = 0;
  #shown = null;

  /** `decode` makes the tiles; `isBusy()` says whether something more urgent is decoded; `changed()` is called meanwhile. */
  constructor({ decode, isBusy, changed }) {
    Object.assign(this, { decode, isBusy, changed });
  }

  /** What is drawn so far. */
  get canvas() {
    return this.#canvas;
  }

  /** Be the background of a plane through `z`. One that is being drawn for another plane or place is given up. */
  follow(plane, { z, label }) {
    const shown = this.#shown;
    if (shown?.plane === plane && shown.label === label) {
      const moved = movedOn(plane, shown.z, placeOn(plane, z));
      if (moved.every((value, index) => Math.abs(value - z[index]) < SAME)) return;
    }
    this.#shown = { plane, z, label };
    this.#version += 1;
    const version = this.#version;
    setTimeout(() => this.#draw(version), REST);
  }

  /** Fill the tiles in an order that is spread over the plane, over those of before. */
  async #draw(version) {
    if (version !== this.#version) return;
    const { plane, z, label } = this.#shown;
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: TILES * width, height: TILES * height });
    const context = canvas.getContext("2d");
    context.drawImage(this.#canvas, 0, 0, canvas.width, canvas.height);
    this.#canvas = canvas;
    // 124 and 17² have no common factor, so that every tile has its turn.
    const order = Array.from({ length: TILES * TILES }, (_, turn) => (turn * 124) % (TILES * TILES));
    for (let start = 0; start < order.length; start += TILES_AT_A_TIME) {
      while (this.isBusy()) await new Promise((resolve) => setTimeout(resolve, AWAY));
      if (version !== this.#version) return;
      const tiles = order.slice(start, start + TILES_AT_A_TIME).map((tile) => [tile % TILES, Math.floor(tile / TILES)]);
      const latents = new Float32Array(tiles.length * z.length);
      tiles.forEach(([column, row], index) => {
        const shares = [(2 * (column + 0.5)) / TILES - 1, 1 - (2 * (row + 0.5)) / TILES];
        const place = shares.map((share, axis) => plane.middle[axis] + share * plane.half);
        latents.set(movedOn(plane, z, place), index * z.length);
      });
      const pixels = await this.decode(latents, label, tiles.length);
      if (version !== this.#version) return;
      tiles.forEach(([column, row], index) => {
        const tile = newCanvas(pixels.subarray(index * imageSize, (index + 1) * imageSize));
        context.drawImage(tile, column * width, row * height);
      });
      if (start % TILES_AT_A_GLANCE === 0) this.changed();
    }
    this.changed();
  }
}
