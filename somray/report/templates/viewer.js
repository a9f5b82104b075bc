"use strict";
// Linked planes of a subject's sessions. Volumes come as mosaics of slices; a plane is sampled anew from them for
// every position, in millimetres of one common frame: x to the left, y to the back, z up, where that is known.
(() => {
  const LONG = 512; // pixels of a picture's longer side
  const LARGER = 1; // screen pixels for one of them, at most
  const SHADE = 0.45; // of what lies just outside an outline
  const EDGE = 2; // pixels that an outline is wide, on the inside
  const PLANES = [
    { name: "axial", plain: "z plane", u: 0, v: 1, n: 2, up: false },
    { name: "coronal", plain: "y plane", u: 0, v: 2, n: 1, up: true },
    { name: "sagittal", plain: "x plane", u: 1, v: 2, n: 0, up: true },
  ];
  const ENDS = [["R", "L"], ["A", "P"], ["I", "S"]];
  const HOT = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];
  const NO_DATA = 0;
  const BLINK_MS = 700;

  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key in node && key !== "list") node[key] = value;
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  };

  const colour = (share) => {
    const at = Math.min(Math.max(share, 0), 1) * (HOT.length - 1);
    const low = Math.min(Math.floor(at), HOT.length - 2);
    return HOT[low].map((v, k) => v + (HOT[low + 1][k] - v) * (at - low));
  };

  const hex = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));

  const fixed = (value) => {
    const size = Math.abs(value);
    if (size === 0) return "0";
    return value.toFixed(size >= 100 ? 0 : size >= 1 ? 1 : 3).replace("-", "−");
  };

  async function inflate(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async function levels(packed, shape) {
    const [depth, rows, columns] = shape;
    const picture = new Image();
    picture.src = "data:image/jpeg;base64," + packed.jpeg;
    await picture.decode();
    const canvas = make("canvas", { width: packed.wide, height: packed.high });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const volume = new Uint8Array(depth * rows * columns);
    for (let z = 0; z < depth; z++) {
      const x = (z % packed.columns) * packed.wide, y = Math.floor(z / packed.columns) * packed.high;
      context.drawImage(picture, x, y, packed.wide, packed.high, 0, 0, packed.wide, packed.high);
      const data = context.getImageData(0, 0, columns, rows).data;
      for (let k = 0; k < rows * columns; k++) volume[z * rows * columns + k] = data[4 * k];
    }
    return volume;
  }

  // Where the lines of a plane lie in a session's blocks: start, step along a picture's row and column, and normal.
  function lines(matrix, origin, step, plane, turn) {
    const along = (axis, by) => [0, 1, 2].map((r) => matrix[4 * r + axis] * by);
    const start = [0, 1, 2].map(
      (r) => matrix[4 * r] * origin[0] + matrix[4 * r + 1] * origin[1] + matrix[4 * r + 2] * origin[2] + matrix[4 * r + 3]
    );
    return { start, across: along(plane.u, step), down: along(plane.v, turn * step), deep: along(plane.n, step) };
  }

  function linear(volume, [depth, rows, columns], x, y, z) {
    const x0 = Math.floor(x), y0 = Math.floor(y), z0 = Math.floor(z);
    const fx = x - x0, fy = y - y0, fz = z - z0;
    const xa = Math.max(x0, 0), xb = Math.min(x0 + 1, columns - 1);
    const ya = Math.max(y0, 0) * columns, yb = Math.min(y0 + 1, rows - 1) * columns;
    const za = Math.max(z0, 0) * rows * columns, zb = Math.min(z0 + 1, depth - 1) * rows * columns;
    const near = (plane) =>
      (volume[plane + ya + xa] * (1 - fx) + volume[plane + ya + xb] * fx) * (1 - fy) +
      (volume[plane + yb + xa] * (1 - fx) + volume[plane + yb + xb] * fx) * fy;
    return near(za) * (1 - fz) + near(zb) * fz;
  }

  class Viewer {
    constructor(root, content) {
      Object.assign(this, { root, content, cursor: [0, 0, 0], window: content.channels.map(() => 0), blinked: false });
      this.channel = 0;
      this.shown = new Set(content.masks.filter((m) => m.shown).map((m) => m.bit));
      this.washed = false;
      this.deepest = false;
      this.zoom = 1;
      this.aligned = content.sessions.some((s) => s.aligned);
      this.mode = "side";
      this.moving = content.sessions.length - 1;
      this.steps();
    }

    matrix(session) {
      return (this.aligned && session.aligned) || session.own;
    }

    // The box that all sessions fill, and the finest step along each axis.
    steps() {
      const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
      let step = Infinity;
      for (const session of this.content.sessions) {
        const m = this.matrix(session);
        const back = invert(m);
        const [depth, rows, columns] = session.shape;
        for (let corner = 0; corner < 8; corner++) {
          const at = [corner & 1 ? columns - 0.5 : -0.5, corner & 2 ? rows - 0.5 : -0.5, corner & 4 ? depth - 0.5 : -0.5];
          for (let axis = 0; axis < 3; axis++) {
            const value = back[4 * axis] * at[0] + back[4 * axis + 1] * at[1] + back[4 * axis + 2] * at[2] + back[4 * axis + 3];
            low[axis] = Math.min(low[axis], value);
            high[axis] = Math.max(high[axis], value);
          }
        }
        step = Math.min(step, ...session.block);
      }
      const first = this.content.sessions[0].block; // z, y, x
      Object.assign(this, { low, high, step, sliceSteps: [first[2], first[1], first[0]] });
    }

    async load() {
      for (const session of this.content.sessions) {
        session.levels = [];
        for (const packed of session.channels) {
          session.levels.push(await levels(packed, session.shape));
          delete packed.jpeg;
        }
        session.labels = await inflate(session.labels);
      }
      this.build();
      this.cursor = this.low.map((v, axis) => (v + this.high[axis]) / 2);
      const first = this.content.lesions.slice().sort((a, b) => b.mm3 - a.mm3)[0];
      if (first) this.cursor = this.place(first).slice();
      this.layout();
      window.addEventListener("resize", () => this.draw()); // words keep their size
    }

    place(lesion) {
      return (this.aligned && lesion.aligned) || lesion.own;
    }

    build() {
      const { content } = this;
      const controls = make("div", { className: "viewer-controls" });
      const choice = (label, options, value, change) => {
        const select = make("select", {}, ...options.map(([key, text]) => make("option", { value: key }, text)));
        select.value = value;
        select.addEventListener("change", () => change(select.value));
        controls.append(make("label", {}, label + " ", select));
        return select;
      };
      const tick = (label, checked, change, swatch) => {
        const box = make("input", { type: "checkbox", checked });
        box.addEventListener("change", () => change(box.checked));
        const parts = swatch ? [make("span", { className: "swatch" })] : [];
        if (swatch) parts[0].style.background = swatch;
        controls.append(make("label", {}, box, " ", ...parts, label));
        return box;
      };
      if (content.channels.length > 1) {
        const names = content.channels.map((c, k) => [String(k), c.name]);
        const both = content.channels.length === 2 ? [["both", content.channels.map((c) => c.name).join(" + ")]] : [];
        this.channel = both.length ? "both" : 0;
        choice("Channel", [...both, ...names], String(this.channel), (value) => {
          this.channel = value === "both" ? value : Number(value);
          this.draw();
        });
      }
      content.channels.forEach((channel, k) => {
        const told = (w) => `${w.name} (${fixed(w.low)} to ${fixed(w.high)}${channel.unit ? " " + channel.unit : ""})`;
        const label = content.channels.length > 1 ? `${channel.name} window` : "Window";
        choice(label, channel.windows.map((w, n) => [String(n), told(w)]), "0", (value) => {
          this.window[k] = Number(value);
          this.draw();
        });
      });
      choice("Zoom", [["1", "1 ×"], ["2", "2 ×"], ["4", "4 ×"]], "1", (value) => {
        this.zoom = Number(value);
        this.draw();
      });
      for (const mask of content.masks) {
        tick(mask.name, mask.shown, (on) => {
          if (on) this.shown.add(mask.bit);
          else this.shown.delete(mask.bit);
          this.draw();
        }, mask.colour);
      }
      if (content.classes.length) tick("classes of the map", false, (on) => { this.washed = on; this.key.hidden = !on; this.draw(); });
      if (content.channels.some((c) => c.uptake)) {
        tick("maximum intensity", false, (on) => { this.deepest = on; this.draw(); });
      }
      if (content.sessions.length > 1) this.comparison(choice, tick);
      this.key = make("ul", { className: "key", hidden: true }, ...content.classes.map((c) => {
        const swatch = make("span", { className: "swatch" });
        swatch.style.background = c.colour;
        return make("li", {}, swatch, c.name);
      }));
      this.status = make("p", { className: "viewer-status" });
      this.panels = make("div", { className: "viewer-panels" });
      this.root.append(controls, this.key, this.panels, this.status, ...this.list());
      this.root.hidden = false;
    }

    comparison(choice, tick) {
      const { sessions } = this.content;
      if (sessions.some((s) => s.aligned)) {
        tick("aligned to each other", true, (on) => {
          this.aligned = on;
          this.steps();
          this.layout();
        });
      }
      const modes = [["side", "side by side"], ["blink", "blink"], ["difference", "|difference|"]];
      choice("Compare", modes, "side", (value) => {
        this.mode = value;
        this.other.parentNode.hidden = value === "side";
        this.layout();
      });
      const names = sessions.slice(1).map((s, k) => [String(k + 1), `${s.name} with ${sessions[0].name}`]);
      this.other = choice("Sessions", names, String(this.moving), (value) => { this.moving = Number(value); this.layout(); });
      this.other.parentNode.hidden = true;
    }

    // The lesions, one row each, one button for each session: it leads to the lesion.
    list() {
      const { lesions, sessions, unit } = this.content;
      if (!lesions.length) return [];
      const rows = new Map();
      for (const lesion of lesions) rows.set(lesion.id, [...(rows.get(lesion.id) || []), lesion]);
      const head = make("tr", {}, make("th", { scope: "col" }, "lesion"),
        ...sessions.map((s) => make("th", { scope: "col", className: "num" }, s.name)));
      const body = [...rows].map(([id, found]) => make("tr", {}, make("th", { scope: "row" }, `#${id}`),
        ...sessions.map((session, k) => {
          const lesion = found.find((f) => f.session === k);
          if (!lesion) return make("td", { className: "num muted" }, "–");
          const told = lesion.mm3 >= 1000 ? `${fixed(lesion.mm3 / 1000)} ml` : `${fixed(lesion.mm3)} mm³`;
          const button = make("button", { type: "button", "aria-label": `Go to lesion ${id} in session ${session.name}, ${told}` }, told);
          button.addEventListener("click", () => {
            this.cursor = this.place(lesion).slice();
            this.draw();
            this.panels.scrollIntoView({ block: "nearest" });
          });
          return make("td", { className: "num" }, button);
        })));
      const told = `Volumes of the largest lesions${unit === "px" ? " (a pixel taken for 1 mm)" : ""}: a volume leads to its slice.`;
      const table = make("table", {}, make("caption", {}, make("span", {}, told)), make("thead", {}, head), make("tbody", {}, ...body));
      return [make("div", { className: "scroll viewer-lesions", role: "region", tabIndex: 0, "aria-label": told }, table)];
    }

    layout() {
      clearInterval(this.timer);
      const { sessions } = this.content;
      const compared = this.mode !== "side" && sessions.length > 1;
      const columns = compared ? [this.moving] : sessions.map((_, k) => k);
      const single = columns.length === 1;
      this.panels.replaceChildren();
      this.panels.style.setProperty("--columns", single ? 3 : columns.length);
      this.panels.classList.toggle("single", single);
      this.cells = [];
      if (!single) {
        for (const k of columns) this.panels.append(this.heading(sessions[k]));
      } else {
        const told = this.mode === "difference" ? ": black where equal, yellow where half the window apart" : "";
        const title = compared ? `${sessions[this.moving].name} and ${sessions[0].name}${told}` : null;
        const head = title ? make("p", { className: "viewer-head" }, make("strong", {}, title)) : this.heading(sessions[columns[0]]);
        head.classList.add("whole");
        this.panels.append(head);
      }
      this.sliders = [];
      const bars = PLANES.map((plane) => this.slider(plane));
      PLANES.forEach((plane, p) => {
        if (!single) this.panels.append(make("div", { className: "whole" }, bars[p]));
        for (const k of columns) {
          const canvas = make("canvas", { tabIndex: 0, role: "img", className: "viewer-canvas" });
          this.listen(canvas, plane);
          const cell = make("div", { className: "viewer-cell" }, ...(single ? [bars[p]] : []), canvas);
          this.panels.append(cell);
          this.cells.push({ plane, session: k, canvas });
        }
      });
      if (this.mode === "blink" && compared) {
        const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
        const flip = () => { this.blinked = !this.blinked; this.draw(); };
        const button = make("button", { type: "button" }, "Switch session");
        button.addEventListener("click", () => { clearInterval(this.timer); flip(); });
        this.panels.append(make("p", { className: "whole" }, button));
        if (!still) this.timer = setInterval(flip, BLINK_MS);
      }
      this.draw();
    }

    heading(session) {
      const day = session.day === null ? "" : `, day ${session.day}`;
      const note = session.note ? make("span", { className: "viewer-note" }, ` not aligned: ${session.note}`) : "";
      return make("p", { className: "viewer-head" }, make("strong", {}, session.name + day), note);
    }

    name(plane) {
      return this.content.oriented ? plane.name : plane.plain;
    }

    slider(plane) {
      const step = this.sliceSteps[plane.n];
      const input = make("input", { type: "range", min: String(this.low[plane.n]), max: String(this.high[plane.n]), step: String(step / 2) });
      const told = make("output", {});
      input.addEventListener("input", () => { this.cursor[plane.n] = Number(input.value); this.draw(); });
      this.sliders.push({ plane, input, told });
      return make("label", { className: "viewer-slider" }, `${this.name(plane)} `, input, told);
    }

    listen(canvas, plane) {
      const move = (event) => {
        const box = canvas.getBoundingClientRect();
        const view = canvas.view;
        const across = (event.clientX - box.left) / box.width * canvas.width;
        const down = (event.clientY - box.top) / box.height * canvas.height;
        this.go(plane.u, view.origin[plane.u] + across * view.step);
        this.go(plane.v, view.origin[plane.v] + view.turn * down * view.step);
        this.draw();
      };
      canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); move(event); });
      canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) move(event); });
      canvas.addEventListener("wheel", (event) => {
        if (document.activeElement !== canvas) return;
        event.preventDefault();
        this.go(plane.n, this.cursor[plane.n] + Math.sign(event.deltaY) * this.sliceSteps[plane.n]);
        this.draw();
      }, { passive: false });
      canvas.addEventListener("keydown", (event) => {
        const turn = plane.up ? -1 : 1;
        const moves = {
          ArrowLeft: [plane.u, -1], ArrowRight: [plane.u, 1], ArrowUp: [plane.v, -turn], ArrowDown: [plane.v, turn],
          PageUp: [plane.n, 1], PageDown: [plane.n, -1],
        };
        if (!(event.key in moves)) return;
        event.preventDefault();
        const [axis, sign] = moves[event.key];
        this.go(axis, this.cursor[axis] + sign * this.sliceSteps[axis]);
        this.draw();
      });
    }

    go(axis, value) {
      this.cursor[axis] = Math.min(Math.max(value, this.low[axis]), this.high[axis]);
    }

    view(plane) {
      const wide = this.high[plane.u] - this.low[plane.u], tall = this.high[plane.v] - this.low[plane.v];
      const step = Math.max(wide, tall) / LONG / this.zoom;
      const width = Math.max(8, Math.round(wide / step / this.zoom)), height = Math.max(8, Math.round(tall / step / this.zoom));
      const turn = plane.up && this.content.oriented ? -1 : 1;
      const origin = this.cursor.slice();
      const start = (axis, count, sign) => {
        if (this.zoom === 1) return sign > 0 ? this.low[axis] : this.high[axis];
        return this.cursor[axis] - sign * count * step / 2;
      };
      origin[plane.u] = start(plane.u, width, 1);
      origin[plane.v] = start(plane.v, height, turn);
      return { width, height, step, origin, turn };
    }

    // Levels (−1 outside) and labels of one session on a plane.
    sample(session, channel, plane, view) {
      const { width, height } = view;
      const [depth, rows, columns] = session.shape;
      const volume = session.levels[channel];
      const at = lines(this.matrix(session), view.origin, view.step, plane, view.turn);
      const half = [0, 1, 2].map((r) => at.start[r] + (at.across[r] + at.down[r]) / 2);
      const found = new Float32Array(width * height).fill(-1);
      const deep = this.deepest && this.content.channels[channel].uptake && plane.n !== 2;
      const reach = deep ? Math.ceil((this.high[plane.n] - this.low[plane.n]) / view.step) : 0;
      const shift = deep ? (this.low[plane.n] - this.cursor[plane.n]) / view.step : 0;
      const skip = deep ? Math.max(1, Math.floor(this.step / view.step)) : 1;
      for (let j = 0; j < height; j++) {
        for (let i = 0; i < width; i++) {
          let x = half[0] + i * at.across[0] + j * at.down[0];
          let y = half[1] + i * at.across[1] + j * at.down[1];
          let z = half[2] + i * at.across[2] + j * at.down[2];
          if (!deep) {
            if (x > -0.5 && y > -0.5 && z > -0.5 && x < columns - 0.5 && y < rows - 0.5 && z < depth - 0.5) {
              found[j * width + i] = linear(volume, session.shape, x, y, z);
            }
            continue;
          }
          let most = -1;
          x += shift * at.deep[0]; y += shift * at.deep[1]; z += shift * at.deep[2];
          for (let d = 0; d <= reach; d += skip) {
            const a = Math.round(x + d * at.deep[0]), b = Math.round(y + d * at.deep[1]), c = Math.round(z + d * at.deep[2]);
            if (a < 0 || b < 0 || c < 0 || a >= columns || b >= rows || c >= depth) continue;
            most = Math.max(most, volume[(c * rows + b) * columns + a]);
          }
          found[j * width + i] = most;
        }
      }
      return found;
    }

    labels(session, plane, view) {
      const { width, height } = view;
      const [depth, rows, columns] = session.shape;
      const at = lines(this.matrix(session), view.origin, view.step, plane, view.turn);
      const found = new Uint8Array(width * height);
      for (let j = 0; j < height; j++) {
        for (let i = 0; i < width; i++) {
          const [x, y, z] = [0, 1, 2].map((r) => Math.round(at.start[r] + (i + 0.5) * at.across[r] + (j + 0.5) * at.down[r]));
          if (x < 0 || y < 0 || z < 0 || x >= columns || y >= rows || z >= depth) continue;
          found[j * width + i] = session.labels[(z * rows + y) * columns + x];
        }
      }
      return found;
    }

    shares(channel, number) {
      const { values, windows } = this.content.channels[channel];
      const { low, high } = windows[number];
      return values.map((v) => Math.min(Math.max((v - low) / (high - low), 0), 1));
    }

    draw() {
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => {
        for (const cell of this.cells) this.paint(cell);
        for (const { plane, input, told } of this.sliders) {
          input.value = String(this.cursor[plane.n]);
          told.textContent = ` ${fixed(this.cursor[plane.n] - this.low[plane.n])} ${this.content.unit}`;
        }
        this.tell();
      });
    }

    paint({ plane, session, canvas }) {
      const { sessions, channels } = this.content;
      const view = this.view(plane);
      Object.assign(canvas, { width: view.width, height: view.height, view });
      canvas.style.maxWidth = `${Math.round(view.width * LARGER)}px`;
      const context = canvas.getContext("2d");
      const image = context.createImageData(view.width, view.height);
      const compared = this.mode !== "side" && sessions.length > 1;
      const seen = compared && this.mode === "blink" && this.blinked ? sessions[0] : sessions[session];
      const deep = this.deepest && plane.n !== 2;
      let channel = this.channel === "both" ? 0 : this.channel;
      if (deep) channel = channels.findIndex((c) => c.uptake);
      const single = this.channel !== "both" || deep;
      const inverted = single && channels[channel].windows[this.window[channel]].inverted;
      if (compared && this.mode === "difference") this.difference(image, sessions[0], seen, channel, plane, view);
      else if (single) this.greys(image, seen, channel, plane, view, inverted);
      else this.fused(image, seen, plane, view);
      if (!deep) this.overlay(image, seen, plane, view);
      context.putImageData(image, 0, 0);
      this.marks(context, plane, view, inverted && this.mode !== "difference", compared && this.mode === "blink" ? seen.name : "");
      canvas.setAttribute("aria-label", `${this.name(plane)} plane of session ${seen.name} at ${fixed(this.cursor[plane.n] - this.low[plane.n])} ${this.content.unit}`);
    }

    greys(image, session, channel, plane, view, inverted) {
      const share = this.shares(channel, this.window[channel]);
      const found = this.sample(session, channel, plane, view);
      for (let k = 0; k < found.length; k++) {
        const grey = found[k] < 0 ? (inverted ? 255 : 0) : 255 * (inverted ? 1 - share[Math.round(found[k])] : share[Math.round(found[k])]);
        image.data.set([grey, grey, grey, 255], 4 * k);
      }
    }

    // The first channel in grey, the second in colours over it, clearer the more there is of it.
    fused(image, session, plane, view) {
      const below = this.shares(0, this.window[0]), above = this.shares(1, this.window[1]);
      const still = this.sample(session, 0, plane, view), hot = this.sample(session, 1, plane, view);
      for (let k = 0; k < still.length; k++) {
        const grey = still[k] < 0 ? 0 : 255 * below[Math.round(still[k])];
        const share = hot[k] < 0 ? 0 : above[Math.round(hot[k])];
        const over = Math.min(0.85, share * 1.4);
        const [r, g, b] = colour(share);
        image.data.set([grey + (r - grey) * over, grey + (g - grey) * over, grey + (b - grey) * over, 255], 4 * k);
      }
    }

    difference(image, first, second, channel, plane, view) {
      const { values, windows } = this.content.channels[channel];
      const { low, high } = windows[this.window[channel]];
      const one = this.sample(first, channel, plane, view), two = this.sample(second, channel, plane, view);
      for (let k = 0; k < one.length; k++) {
        if (one[k] < 0 || two[k] < 0) { image.data.set([38, 46, 56, 255], 4 * k); continue; }
        const apart = Math.abs(values[Math.round(one[k])] - values[Math.round(two[k])]) / (high - low);
        image.data.set([...colour(2 * apart), 255], 4 * k);
      }
    }

    overlay(image, session, plane, view) {
      const { width, height } = view;
      if (!this.washed && !this.shown.size) return;
      const found = this.labels(session, plane, view);
      const wash = new Map(this.content.classes.map((c) => [c.value, hex(c.colour)]));
      if (this.washed) {
        for (let k = 0; k < found.length; k++) {
          const tint = wash.get(found[k] & 15);
          if ((found[k] & 15) === NO_DATA || !tint) continue;
          for (let c = 0; c < 3; c++) image.data[4 * k + c] = 0.55 * image.data[4 * k + c] + 0.45 * tint[c];
        }
      }
      for (const mask of this.content.masks) {
        if (!this.shown.has(mask.bit)) continue;
        const line = hex(mask.colour);
        const inside = (i, j) => i >= 0 && j >= 0 && i < width && j < height && (found[j * width + i] & mask.bit) !== 0;
        const around = (i, j, reach) => [[reach, 0], [-reach, 0], [0, reach], [0, -reach]].map(([x, y]) => inside(i + x, j + y));
        for (let j = 0; j < height; j++) {
          for (let i = 0; i < width; i++) {
            const k = 4 * (j * width + i);
            if (!inside(i, j)) {
              if (around(i, j, 1).some(Boolean)) for (let c = 0; c < 3; c++) image.data[k + c] *= SHADE;
            } else if (!around(i, j, EDGE).every(Boolean) && !(mask.dash && (i + j) % 10 > 5)) {
              image.data.set([...line, 255], k);
            }
          }
        }
      }
    }

    marks(context, plane, view, dark, title) {
      const { width, height, step } = view;
      const ink = dark ? "#14181c" : "#fff", halo = dark ? "rgba(255,255,255,.9)" : "rgba(0,0,0,.65)";
      const x = (this.cursor[plane.u] - view.origin[plane.u]) / step;
      const y = (this.cursor[plane.v] - view.origin[plane.v]) * view.turn / step;
      context.strokeStyle = dark ? "rgba(0,90,200,.75)" : "rgba(120,200,255,.75)";
      context.lineWidth = 1;
      context.beginPath();
      for (const [a, b, c, d] of [[x, 0, x, y - 9], [x, y + 9, x, height], [0, y, x - 9, y], [x + 9, y, width, y]]) {
        context.moveTo(a, b);
        context.lineTo(c, d);
      }
      context.stroke();
      // Words keep their size on the screen, however small the picture is shown.
      const large = Math.max(1, width / (context.canvas.clientWidth || width));
      context.font = `600 ${Math.round(12 * large)}px system-ui, sans-serif`;
      context.lineWidth = 3 * large;
      const write = (text, at, down, align) => {
        context.textAlign = align;
        context.strokeStyle = halo;
        context.strokeText(text, at, down);
        context.fillStyle = ink;
        context.fillText(text, at, down);
      };
      if (this.content.oriented) {
        const [left, right] = ENDS[plane.u], [low, high] = ENDS[plane.v];
        const [top, bottom] = view.turn < 0 ? [high, low] : [low, high];
        write(left, 5 * large, height / 2 - 8 * large, "left");
        write(right, width - 5 * large, height / 2 - 8 * large, "right");
        write(top, width / 2 + 10 * large, 15 * large, "left");
        write(bottom, width / 2 + 10 * large, height - 6 * large, "left");
      }
      if (title) write(title, 8 * large, 18 * large, "left");
      const wanted = width * step / 4, power = 10 ** Math.floor(Math.log10(wanted));
      const length = Math.max(...[1, 2, 5].map((n) => n * power).filter((n) => n <= wanted * 1.0001));
      const told = length >= 0.1 ? `${Number(length.toPrecision(2))} ${this.content.unit}` : `${Number((length * 1000).toPrecision(2))} µm`;
      write(told, 8 * large, height - 11 * large, "left");
      context.strokeStyle = ink;
      context.lineWidth = 2 * large;
      context.beginPath();
      context.moveTo(8 * large, height - 6 * large);
      context.lineTo(8 * large + length / step, height - 6 * large);
      context.stroke();
    }

    // What lies under the crosshair in every session.
    tell() {
      const { sessions, channels, classes, unit } = this.content;
      const found = sessions.map((session) => {
        const m = this.matrix(session);
        const [x, y, z] = [0, 1, 2].map((r) =>
          Math.round(m[4 * r] * this.cursor[0] + m[4 * r + 1] * this.cursor[1] + m[4 * r + 2] * this.cursor[2] + m[4 * r + 3]));
        const [depth, rows, columns] = session.shape;
        if (x < 0 || y < 0 || z < 0 || x >= columns || y >= rows || z >= depth) return `${session.name}: outside`;
        const k = (z * rows + y) * columns + x;
        const values = channels.map((c, n) => `${c.name} ${fixed(c.values[session.levels[n][k]])} ${c.unit}`.trim());
        const kind = classes.find((c) => c.value === (session.labels[k] & 15));
        return `${session.name}: ${values.join(", ")}${kind ? `, ${kind.name}` : ""}`;
      });
      const where = ["x", "y", "z"].map((name, axis) => `${name} ${fixed(this.cursor[axis] - this.low[axis])}`).join(", ");
      this.status.textContent = `At ${where} ${unit}. ${found.join(" · ")}`;
    }
  }

  function invert(m) {
    const [a, b, c, p, d, e, f, q, g, h, i, r] = m;
    const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
    const n = [
      e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f, d * h - e * g, b * g - a * h, a * e - b * d,
    ].map((v) => v / det);
    const back = (k) => -(n[k] * p + n[k + 1] * q + n[k + 2] * r);
    return [n[0], n[1], n[2], back(0), n[3], n[4], n[5], back(3), n[6], n[7], n[8], back(6)];
  }

  async function start(root) {
    const content = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
    try {
      await new Viewer(root, content).load();
    } catch (error) {
      root.replaceChildren(make("p", { className: "notice warn" }, `The planes cannot be shown in this browser: ${error.message}`));
      root.hidden = false;
    }
  }

  // Decoding waits until the part comes near: a page may hold several.
  const watch = new IntersectionObserver((seen) => {
    for (const entry of seen) {
      if (!entry.isIntersecting) continue;
      watch.unobserve(entry.target);
      start(entry.target.querySelector("[data-viewer]"));
    }
  }, { rootMargin: "600px" });
  for (const root of document.querySelectorAll("[data-viewer]")) watch.observe(root.parentNode);
})();
