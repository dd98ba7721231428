// The one place that knows where the page is in the latent space, and tells the views when that changes.

/**
 * The state is
 *   z       where we are, Float32Array (L)
 *   label   the class that a conditional model decodes as, a number; 0 for others
 *   source  the image that z came from, or null: { pixels, name, mean, logVar }
 *   peek    what is shown for as long as the pointer is over it, or null: { z, label, pixels, name }
 */
export class Store {
  #state;
  #listeners = [];

  constructor(state) {
    this.#state = state;
  }

  get state() {
    return this.#state;
  }

  /** Call `listener(state, changes)` after every change. */
  listen(listener) {
    this.#listeners.push(listener);
  }

  update(changes) {
    this.#state = { ...this.#state, ...changes };
    for (const listener of this.#listeners) listener(this.#state, changes);
  }
}
