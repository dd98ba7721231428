// Spatial latents: an image is encoded, and sliders push its latent along principal directions.

import { facts } from "./payload.js";
import { Sliders } from "./sliders.js";

export class Editor {
  #base;
  #offsets;
  #directions;

  /** `arrays` has `channels` and maybe `wholes`; `move(z, changes)` is called with every new latent, and with what `start` was given. */
  constructor({ arrays, move }) {
    const size = facts.latentShape.reduce((product, side) => product * side, 1);
    const rowsOf = (values, length) =>
      Array.from({ length: values.length / length }, (_, row) => values.subarray(row * length, (row + 1) * length));
    // Those of one position are as long as its channels, and hold for every position.
    this.#directions = [
      ...(arrays.wholes ? rowsOf(arrays.wholes, size) : []),
      ...rowsOf(arrays.channels, facts.latentShape[2]),
    ];
    this.#base = new Float32Array(size);
    this.#offsets = new Float32Array(this.#directions.length);
    this.move = move;
    const controls = facts.directions.map((name) => ({ name, note: "", centre: 0, sigma: 1 }));
    this.sliders = new Sliders(controls, {
      move: (place, value) => {
        this.#offsets[place] = value;
        this.#change();
      },
      reset: () => {
        this.#offsets.fill(0);
        this.#change();
      },
    });
  }

  get offsets() {
    return this.#offsets;
  }

  /** Go on from another latent, with `offsets` if there are as many as directions, and other changes of the state. */
  start(base, { offsets, ...changes }) {
    this.#base = base;
    if (offsets?.length === this.#offsets.length) this.#offsets.set(offsets);
    else this.#offsets.fill(0);
    this.#change(changes);
  }

  #change(changes = {}) {
    const z = this.#base.slice();
    this.#directions.forEach((direction, place) => {
      const offset = this.#offsets[place];
      if (offset === 0) return;
      for (let index = 0; index < z.length; index += 1) z[index] += offset * direction[index % direction.length];
    });
    this.sliders.show(this.#offsets, null);
    this.move(z, changes);
  }
}
