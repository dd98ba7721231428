// Encoder and decoder behind one interface, whether they run in this page or in the command that serves it.
//
//   decode(z, label, count = 1) → Promise of pixels, Uint8ClampedArray (count · H · W · C)
//   encode(pixels, label) → Promise of { mean, logVar }, Float32Array (L) each

import { compressedFile, facts } from "./payload.js";

const FILES = ["core.js", "utils.js", "wasm.js", "wasm", "encoder", "decoder"];

/** The models, ready for use. */
export async function startEngine() {
  if (facts.isServed) return { decode: decodeAtServer, encode: encodeAtServer };
  const worker = new PageWorker();
  await worker.ask({ kind: "start", files: Object.fromEntries(FILES.map((name) => [name, compressedFile(name)])) });
  return {
    decode: async (z, label, count = 1) => (await worker.ask({ kind: "decode", z, label, count })).pixels,
    encode: (pixels, label) => worker.ask({ kind: "encode", pixels, label }),
  };
}

/** The worker, whose answers find their questions by number. */
class PageWorker {
  #worker;
  #waiting = new Map();
  #last = 0;

  constructor() {
    const source = document.querySelector('script[type="text/worker-source"]').textContent;
    this.#worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    this.#worker.onmessage = ({ data: { id, error, ...answer } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(answer);
      else reject(new Error(error));
    };
    this.#worker.onerror = (event) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(event.message));
      this.#waiting.clear();
    };
  }

  ask(question) {
    this.#last += 1;
    this.#worker.postMessage({ id: this.#last, ...question });
    return new Promise((resolve, reject) => this.#waiting.set(this.#last, { resolve, reject }));
  }
}

async function answerOf(path, label, body) {
  const headers = { "Content-Type": "application/octet-stream" };
  const answer = await fetch(`/${path}?label=${label}`, { method: "POST", headers, body });
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  return answer.arrayBuffer();
}

// Numbers in this computer's memory are little-endian, as the server takes them.
async function decodeAtServer(z, label) {
  return new Uint8ClampedArray(await answerOf("decode", label, z));
}

async function encodeAtServer(pixels, label) {
  const both = new Float32Array(await answerOf("encode", label, pixels));
  return { mean: both.slice(0, both.length / 2), logVar: both.slice(both.length / 2) };
}

/**
 * Asks for the newest value alone: while one question is out, only the last of those that follow is kept. What is
 * dragged is thus never behind by more than one answer.
 */
export class Latest {
  #next = null;
  #isBusy = false;

  /** `ask(value)` gives a promise, and `show(answer, value)` takes what it holds; `tell(isBusy)` may follow the work. */
  constructor(ask, show, fail, tell = () => {}) {
    Object.assign(this, { ask, show, fail, tell });
  }

  get isBusy() {
    return this.#isBusy;
  }

  async give(value) {
    this.#next = { value };
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.tell(true);
    try {
      while (this.#next) {
        const { value: current } = this.#next;
        this.#next = null;
        this.show(await this.ask(current), current);
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.#isBusy = false;
      this.tell(false);
    }
  }
}
