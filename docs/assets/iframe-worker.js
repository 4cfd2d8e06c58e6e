// Search runs in a Worker, which browsers refuse to a page that was opened from a file. There a frame takes its place.
"use strict";

class FrameWorker extends EventTarget {
  constructor(url) {
    super();
    this.waiting = [];
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    this.frame.srcdoc = "<!doctype html>";
    this.frame.addEventListener("load", () => this.load(url), { once: true });
    document.documentElement.append(this.frame);
  }

  load(url) {
    const inside = this.frame.contentWindow;
    inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    const script = inside.document.createElement("script");
    script.src = url;
    script.addEventListener("load", () => this.begin(inside), { once: true });
    inside.document.head.append(script);
  }

  begin(inside) {
    this.postMessage = (data) => inside.dispatchEvent(new inside.MessageEvent("message", { data }));
    this.waiting.forEach((data) => this.postMessage(data));
  }

  postMessage(data) {
    this.waiting.push(data);
  }

  terminate() {
    this.frame.remove();
  }
}

if (location.protocol === "file:") window.Worker = FrameWorker;
