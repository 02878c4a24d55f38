// The stream from the console: one EventSource, opened again when it breaks or falls silent.

import { terminal } from "./api.js";
import { enabled } from "./sound.js";
import { apply, silenceMs, store } from "./store.js";

const SILENT_MS = 6000;
const RETRY_MS = 1500;

export class Stream {
  constructor(onFrame) {
    this.onFrame = onFrame;
    this.source = null;
    this.openedAt = 0;
  }

  open() {
    this.source?.close();
    this.openedAt = performance.now();
    this.audible = enabled();
    const about = new URLSearchParams({ audible: this.audible ? "1" : "0", terminal: terminal() });
    const source = new EventSource(`/api/v1/stream?${about}`);
    for (const kind of ["full", "delta"]) {
      source.addEventListener(kind, (event) => {
        apply(kind, JSON.parse(event.data));
        this.onFrame(kind);
      });
    }
    source.addEventListener("heartbeat", (event) => {
      const quiet = JSON.parse(event.data).quiet_ms;
      store.lostMs = quiet === null ? Infinity : quiet;
      this.beatAt = performance.now();
    });
    source.addEventListener("error", () => this.retry(source));
    this.source = source;
  }

  // The browser retries by itself after most errors, but not after an HTTP error, and not when a
  // network silently swallows everything.
  retry(source) {
    if (source !== this.source || source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => source === this.source && this.open(), RETRY_MS);
  }

  watch() {
    const quiet = performance.now() - Math.max(this.openedAt, this.beatAt ?? 0);
    if (this.audible !== enabled() || (quiet > SILENT_MS && silenceMs() > SILENT_MS)) this.open();
  }
}
