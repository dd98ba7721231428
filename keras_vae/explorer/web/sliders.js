// A row of sliders: one for each dimension of a latent vector, or for each direction of a spatial latent.

import { facts } from "./payload.js";

// Deviations to each side; the marks are at three.
const REACH = 4;

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

/** A number with a true minus sign. */
export const signed = (value, digits = 2) => {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
};

export class Sliders {
  #rows = [];

  /**
   * `controls` are { name, note, centre, sigma }, in the order in which they show; `move(place, value)` is called with
   * the place of a control and its new value; `reset()` for all.
   */
  constructor(controls, { move, reset }) {
    const list = document.getElementById("sliders");
    list.replaceChildren();
    controls.forEach((control, place) => {
      const { name, note, centre, sigma } = control;
      const input = element("input", {
        type: "range",
        min: centre - REACH * sigma,
        max: centre + REACH * sigma,
        step: sigma / 50,
        value: centre,
      });
      input.setAttribute("aria-label", note ? `${name}, ${note}` : name);
      const value = element("output", { className: "value" });
      const posterior = element("span", { className: "posterior" });
      const reset = element("button", { type: "button", className: "quiet", textContent: "↺", title: `Reset ${name}` });
      reset.setAttribute("aria-label", `Reset ${name}`);
      input.addEventListener("input", () => move(place, Number(input.value)));
      reset.addEventListener("click", () => move(place, centre));
      const track = element("span", { className: "track" }, input);
      const row = element(
        "li",
        { className: "slider", hidden: place >= facts.firstSliders },
        element("span", { className: "name", textContent: name }),
        track,
        value,
        reset,
        element("span", { className: "note", textContent: note }),
        posterior,
      );
      list.append(row);
      this.#rows.push({ ...control, row, input, value, track, posterior });
    });
    document.getElementById("reset").addEventListener("click", reset);
    const all = document.getElementById("all-sliders");
    all?.addEventListener("click", () => {
      this.#rows.forEach(({ row }) => (row.hidden = false));
      all.hidden = true;
    });
  }

  /** Show a value for each control and, if there is one, a posterior { means, deviations } in the same order. */
  show(values, posterior) {
    this.#rows.forEach((row, place) => {
      row.input.value = values[place];
      const text = signed(values[place]);
      row.value.textContent = text;
      row.input.setAttribute("aria-valuetext", text);
      const [mean, deviation] = posterior ? [posterior.means[place], posterior.deviations[place]] : [null, null];
      row.posterior.textContent = posterior ? `posterior ${signed(mean, 3)} ± ${deviation.toFixed(3)}` : "";
      row.track.classList.toggle("has-posterior", Boolean(posterior));
      if (posterior) {
        const share = (number) => Math.min(1, Math.max(0, (number - row.centre) / (2 * REACH * row.sigma) + 0.5));
        row.track.style.setProperty("--from", share(mean - deviation));
        row.track.style.setProperty("--to", share(mean + deviation));
      }
    });
  }
}
