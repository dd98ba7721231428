// The plane: test images as points over the images that the decoder makes there. Drag anywhere, and the image follows.

import { colourOf } from "./colours.js";
import { Manifold } from "./manifold.js";
import { facts } from "./payload.js";
import { ellipseOn, movedOn, placeOn } from "./vectors.js";

// Distances in CSS pixels: of the pointer to a point that it is on, and how far a click may slip.
const ON_POINT = 9;
const STILL = 4;
const POINT_RADIUS = 2.6;

export class Plane {
  #canvas = document.getElementById("plane");
  #still = document.createElement("canvas"); // what does not change while one drags
  #manifold;
  #plane = facts.planes[0];
  #places = [];
  #drag = null;
  #released = null;
  #isDue = false;

  /**
   * `images` are { count, labels, mean(index) }; `describe(index)` is the state's `peek` at one, and `take(index)` is
   * called for one that is chosen. `decode` and `isBusy` are as for `Manifold`.
   */
  constructor({ store, images, decode, isBusy, take, describe }) {
    Object.assign(this, { store, images, take, describe });
    this.#manifold = new Manifold({ decode, isBusy, changed: () => this.#drawStill() });
    this.#choosePlane(this.#plane);
    store.listen((state) => {
      this.#manifold.follow(this.#plane, state);
      this.#redraw();
    });
    new ResizeObserver(() => this.#resize()).observe(this.#canvas);
    this.#listen();
  }

  get plane() {
    return this.#plane;
  }

  set plane(plane) {
    this.#choosePlane(plane);
    this.#manifold.follow(plane, this.store.state);
    this.#drawStill();
  }

  /** The image whose point is nearest on the plane. */
  nearest() {
    return this.#pointAt(this.#toPixels(placeOn(this.#plane, this.store.state.z)), Infinity);
  }

  #choosePlane(plane) {
    this.#plane = plane;
    const isLine = plane.axes[1].every((value) => value === 0);
    this.#places = Array.from({ length: this.images.count }, (_, index) => {
      const [x, y] = placeOn(plane, this.images.mean(index));
      // Points of one dimension are spread over the height, each at a fixed place.
      return [x, isLine ? (((index * 0.618) % 1) - 0.5) * plane.half : y];
    });
    const names = [document.getElementById("axis-x"), document.getElementById("axis-y")];
    names.forEach((element, axis) => (element.textContent = plane.axisNames[axis] ?? ""));
  }

  // Between places on the plane and CSS pixels of the canvas.
  #toPixels([x, y]) {
    const { middle, half } = this.#plane;
    const size = this.#canvas.clientWidth;
    return [((x - middle[0]) / half + 1) * (size / 2), (1 - (y - middle[1]) / half) * (size / 2)];
  }

  #toPlace([left, top]) {
    const { middle, half } = this.#plane;
    const size = this.#canvas.clientWidth;
    return [middle[0] + ((2 * left) / size - 1) * half, middle[1] + (1 - (2 * top) / size) * half];
  }

  // --- drawing

  #resize() {
    const size = Math.round(this.#canvas.clientWidth * window.devicePixelRatio);
    // A new canvas is 300 pixels wide, as the plane may be, but 150 high.
    if (size === 0 || (size === this.#canvas.width && size === this.#canvas.height)) return;
    for (const canvas of [this.#canvas, this.#still]) Object.assign(canvas, { width: size, height: size });
    this.#drawStill();
  }

  #context(canvas) {
    const context = canvas.getContext("2d");
    const scale = canvas.width / (this.#canvas.clientWidth || 1);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    return context;
  }

  #drawStill() {
    const context = this.#context(this.#still);
    const size = this.#canvas.clientWidth;
    context.globalAlpha = 0.34;
    context.drawImage(this.#manifold.canvas, 0, 0, size, size);
    context.globalAlpha = 1;
    const { labels } = this.images;
    const count = facts.labelNames?.length ?? 0;
    this.#places.forEach((place, index) => {
      const [left, top] = this.#toPixels(place);
      context.fillStyle = colourOf(labels ? labels[index] : 0, count);
      context.beginPath();
      context.arc(left, top, POINT_RADIUS, 0, 2 * Math.PI);
      context.fill();
    });
    this.#redraw();
  }

  #redraw() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#draw();
    });
  }

  #draw() {
    const { z, source, peek } = this.store.state;
    const context = this.#context(this.#canvas);
    const size = this.#canvas.clientWidth;
    context.drawImage(this.#still, 0, 0, size, size);
    if (source?.logVar && facts.isVariational) this.#drawEllipse(context, source, size);
    if (peek) this.#drawRing(context, this.#toPixels(this.#places[peek.index]), 6, "#fff");
    const [left, top] = this.#toPixels(placeOn(this.#plane, z));
    context.strokeStyle = "#fff";
    context.lineWidth = 1;
    context.globalAlpha = 0.5;
    context.beginPath();
    context.moveTo(left, 0);
    context.lineTo(left, size);
    context.moveTo(0, top);
    context.lineTo(size, top);
    context.stroke();
    context.globalAlpha = 1;
    this.#drawRing(context, [left, top], 9, "#fff");
  }

  #drawRing(context, [left, top], radius, colour) {
    for (const [line, style] of [
      [4, "#000a"],
      [2, colour],
    ]) {
      context.lineWidth = line;
      context.strokeStyle = style;
      context.beginPath();
      context.arc(left, top, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  #drawEllipse(context, { mean, logVar }, size) {
    const [left, top] = this.#toPixels(placeOn(this.#plane, mean));
    const { halves, angle } = ellipseOn(this.#plane, logVar);
    const scale = size / (2 * this.#plane.half);
    context.beginPath();
    // A certain posterior is smaller than a pixel; it is still marked.
    context.ellipse(left, top, ...halves.map((half) => Math.max(half * scale, 1.5)), -angle, 0, 2 * Math.PI);
    context.fillStyle = "#fff5";
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = "#fff";
    context.stroke();
  }

  // --- pointer and keys

  #listen() {
    const canvas = this.#canvas;
    const placeOf = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left - canvas.clientLeft, event.clientY - box.top - canvas.clientTop];
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.#drag = { start: placeOf(event), isStill: true };
      this.#moveTo(this.#drag.start);
    });
    canvas.addEventListener("pointermove", (event) => {
      const place = placeOf(event);
      if (this.#drag) {
        const [left, top] = this.#drag.start;
        if (Math.hypot(place[0] - left, place[1] - top) > STILL) this.#drag.isStill = false;
        this.#moveTo(place);
      } else if (event.pointerType === "mouse" && !this.#isWhereReleased(place)) {
        this.#peekAt(this.#pointAt(place));
      }
    });
    canvas.addEventListener("pointerup", (event) => {
      if (this.#drag?.isStill) {
        const index = this.#pointAt(placeOf(event));
        if (index !== null) this.take(index);
      }
      this.#drag = null;
      this.#released = placeOf(event);
    });
    canvas.addEventListener("pointercancel", () => (this.#drag = null));
    canvas.addEventListener("pointerleave", () => this.#peekAt(null));
    canvas.addEventListener("keydown", (event) => this.#press(event));
  }

  /** Whether the mouse is still where a drag ended: what was found there stays in view. */
  #isWhereReleased([left, top]) {
    const [x, y] = this.#released ?? [Infinity, Infinity];
    if (Math.hypot(left - x, top - y) < ON_POINT) return true;
    this.#released = null;
    return false;
  }

  #moveTo(pixels) {
    const z = movedOn(this.#plane, this.store.state.z, this.#toPlace(pixels));
    this.store.update({ z, peek: null });
  }

  /** The image whose point is there, the nearest one; null if there is none. */
  #pointAt([left, top], reach = ON_POINT) {
    let [found, nearest] = [null, reach];
    this.#places.forEach((place, index) => {
      const [x, y] = this.#toPixels(place);
      const distance = Math.hypot(x - left, y - top);
      if (distance < nearest) [found, nearest] = [index, distance];
    });
    return found;
  }

  #peekAt(index) {
    const { peek } = this.store.state;
    if ((peek?.index ?? null) !== index) this.store.update({ peek: index === null ? null : this.describe(index) });
  }

  #press(event) {
    const step = (this.#plane.half / 33) * (event.shiftKey ? 5 : 1);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const { z } = this.store.state;
    const [x, y] = placeOn(this.#plane, z);
    if (event.key in moves) {
      const [right, up] = moves[event.key];
      this.store.update({ z: movedOn(this.#plane, z, [x + right, y + up]), peek: null });
    } else if (event.key === "Enter") {
      this.take(this.nearest());
    } else {
      return;
    }
    event.preventDefault();
  }
}
