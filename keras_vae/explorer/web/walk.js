// A walk between two to four places: kept as small pictures, played, and saved as a GIF or a PNG.

import { gifOf } from "./gif.js";
import { facts } from "./payload.js";
import { fileName, imageSize, newCanvas, pngOf, save } from "./pixels.js";
import { mixed, slerp } from "./vectors.js";

const MOST = 4;
const SECONDS_PER_LEG = 2;
// Pictures of a leg in a saved file.
const FRAMES = { gif: 20, png: 5 };
// Hundredths of a second between the pictures of a GIF; few programs show them faster.
const DELAY = 5;

export class Walk {
  #places = [];
  #slider = document.getElementById("walk-position");
  #play = document.getElementById("walk-play");
  #list = document.getElementById("walk-places");
  #from = null;

  /** `isBusy()` says whether the image of the last step is still being decoded. */
  constructor({ store, decode, isBusy }) {
    Object.assign(this, { store, decode, isBusy });
    document.getElementById("walk-add").addEventListener("click", () => {
      const { z, label } = this.store.state;
      this.add(z, label);
    });
    this.#slider.addEventListener("input", () => {
      this.#stop();
      this.#goTo(Number(this.#slider.value));
    });
    this.#play.addEventListener("click", () => (this.#from === null ? this.#start() : this.#stop()));
    document.getElementById("walk-gif").addEventListener("click", (event) => this.#save(event.target, "gif"));
    document.getElementById("walk-png").addEventListener("click", (event) => this.#save(event.target, "png"));
    this.#show();
  }

  /** Add a place; of more than four, the first is left out. */
  async add(z, label) {
    this.#stop();
    this.#places = [...this.#places, { z: z.slice(), label, canvas: newCanvas() }].slice(-MOST);
    this.#show();
    const { canvas } = this.#places.at(-1);
    canvas.getContext("2d").drawImage(newCanvas(await this.decode(z, label)), 0, 0);
  }

  #remove(place) {
    this.#stop();
    this.#places = this.#places.filter((other) => other !== place);
    this.#show();
  }

  #show() {
    const slots = Array.from({ length: MOST }, (_, index) => this.#slot(this.#places[index], index + 1));
    this.#list.replaceChildren(...slots);
    const legs = Math.max(0, this.#places.length - 1);
    this.#slider.max = Math.max(legs, 1);
    this.#slider.value = 0;
    const controls = [this.#slider, this.#play, ...document.querySelectorAll("#walk-gif, #walk-png")];
    controls.forEach((control) => (control.disabled = legs === 0));
  }

  /** A button that leaves a place out, or an empty one of the same size. */
  #slot(place, number) {
    const button = document.createElement("button");
    button.type = "button";
    button.disabled = !place;
    button.setAttribute("aria-label", place ? `Leave place ${number} out of the walk` : `No place ${number} yet`);
    button.append(place ? place.canvas : newCanvas());
    if (place) {
      button.title = "Leave out";
      button.addEventListener("click", () => this.#remove(place));
    }
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  /** Where the walk is at `position`, from 0 to the number of legs. */
  #at(position) {
    const leg = Math.min(Math.floor(position), this.#places.length - 2);
    const [start, end] = this.#places.slice(leg, leg + 2);
    const t = position - leg;
    // Latents of vectors lie on shells around the origin; spatial ones do not.
    const z = (facts.isSpatial ? mixed : slerp)(start.z, end.z, t);
    return { z, label: t < 0.5 ? start.label : end.label };
  }

  #goTo(position) {
    this.store.update({ ...this.#at(position), source: null, peek: null });
  }

  #start() {
    const legs = this.#places.length - 1;
    this.#from = performance.now() - 1000 * SECONDS_PER_LEG * Number(this.#slider.value);
    this.#play.textContent = "Pause";
    const step = (now) => {
      if (this.#from === null) return;
      // There and back again.
      const passed = Math.max(0, (now - this.#from) / 1000 / SECONDS_PER_LEG) % (2 * legs);
      const position = passed <= legs ? passed : 2 * legs - passed;
      this.#slider.value = position;
      // A slow model sets the pace.
      if (!this.isBusy()) this.#goTo(position);
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  #stop() {
    this.#from = null;
    this.#play.textContent = "Play";
  }

  async #save(button, kind) {
    this.#stop();
    button.disabled = true;
    const legs = this.#places.length - 1;
    const count = FRAMES[kind] * legs;
    const images = [];
    for (let frame = 0; frame <= count; frame += 1) {
      const { z, label } = this.#at((frame / count) * legs);
      images.push((await this.decode(z, label)).slice(0, imageSize));
    }
    if (kind === "png") save(await pngOf(images), fileName("walk", "png"));
    else save(gifOf([...images, ...images.slice(1, -1).reverse()], DELAY), fileName("walk", "gif"));
    button.disabled = this.#places.length < 2;
  }
}
