// The way to the server: plans by request, moving cuts by a socket on which only the last position counts.
export const me = Math.random().toString(36).slice(2);

async function ask(path, options = {}) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  if (!answer.ok) {
    let said = `${answer.status}`;
    try {
      const text = await answer.text();
      said = text.startsWith("{") ? JSON.parse(text).message : text;
    } catch { /* the status has to do */ }
    throw new Error(said);
  }
  return answer;
}

export const getJson = async (path) => (await ask(path)).json();
export const getBytes = async (path) => new Uint8Array(await (await ask(path)).arrayBuffer());

async function send(method, path, body) {
  const answer = await ask(path, {
    method, headers: { "content-type": "application/json" }, body: body === undefined ? "" : JSON.stringify({ ...body, by: me }),
  });
  return answer.status === 204 ? null : answer.json();
}

export const plans = {
  all: () => getJson("/api/plans"),
  add: (name, stages) => send("POST", "/api/plans", { name, stages }),
  change: (id, stages) => send("PATCH", `/api/plans/${id}`, { stages }),
  rename: (id, name) => send("PATCH", `/api/plans/${id}`, { name }),
  remove: (id) => send("DELETE", `/api/plans/${id}`),
  report: (id) => send("POST", `/api/plans/${id}/report`, {}),
};

export class Live {
  constructor(hear) {
    this.hear = hear;
    this.number = 0;
    this.sent = new Map();
    this.waiting = null;
    this.open = false;
    this.connect();
  }

  connect() {
    const socket = new WebSocket(`ws://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.open = true;
      this.inFlight = 0;
      this.hear({ type: "open" });
      this.push();
    };
    socket.onclose = () => {
      this.open = false;
      this.hear({ type: "closed" });
      setTimeout(() => this.connect(), 1000);
    };
    socket.onmessage = (event) => this.take(event.data);
    this.socket = socket;
  }

  // Ask for the numbers of a plan; whatever was waiting to be asked is forgotten.
  move(stages, since = performance.now()) {
    this.waiting = { stages, since };
    this.push();
  }

  push() {
    if (!this.open || !this.waiting || this.inFlight) return;
    this.number += 1;
    this.sent.set(this.number, this.waiting.since);
    this.inFlight = this.number;
    this.socket.send(JSON.stringify({ type: "move", number: this.number, stages: this.waiting.stages }));
    this.waiting = null;
  }

  take(data) {
    if (typeof data !== "string") {
      const view = new DataView(data);
      this.hear({ type: view.getUint8(0) === 1 ? "preview" : "overlay", number: view.getUint32(4, true), data: new Uint8Array(data, 8) });
      return;
    }
    const said = JSON.parse(data);
    if ((said.type === "volumes" || said.type === "refused") && (said.number === null || said.number >= this.inFlight)) {
      this.inFlight = 0;
      this.push();
    }
    this.hear(said);
  }
}
