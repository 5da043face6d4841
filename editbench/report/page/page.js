"use strict";
/* The gallery: cards made from the page's data, filtered and sorted by what the address says.
   Text of suites and judges only ever becomes text nodes. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [low, high] = data.scale;
  const several = data.runs.length > 1;
  const form = document.getElementById("filter");
  const home = document.getElementById("cards");
  const FIELDS = ["q", "cat", "state", "from", "to", "sort", "differ", "pair"];
  const AT_ONCE = 40;
  const SECTION = /^#[a-z]+$/; // an address that is no state of the gallery
  let pictures = null; // lines of the last block of the page, once it has arrived

  /* Elements */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
    return element;
  }
  const fixed = (value, digits = 2) => (value === null || value === undefined ? "-" : value.toFixed(digits));
  const signed = (value) => (value > 0 ? "+" : "") + value.toFixed(2);
  const words = (state) => state.replaceAll("_", " ");
  const moved = (pair) => {
    const [a, b] = pair.runs.map((run) => run && run.score);
    return typeof a === "number" && typeof b === "number" ? b - a : null;
  };

  function image(kind, place, alt) {
    return make("img", { class: kind, alt, "data-place": place, decoding: "async", draggable: "false" });
  }

  /* A before and after with a range input over both, so that mouse, touch and keys are native. */
  function slider(pair, run, name, large = false) {
    const [width, height] = run.size || [4, 3];
    const figure = make("figure", { class: "slider" });
    const has = (place) => typeof place === "number";
    figure.style.setProperty("--ratio", Math.min(1.78, Math.max(0.9, width / height)));
    if (has(pair.before)) figure.append(image("before", pair.before, `before: ${pair.id}`));
    if (has(run.after)) figure.append(image("after cut", run.after, `after: ${pair.instruction}`));
    if (has(pair.before) && has(run.after)) {
      const range = make("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": `${name}: before or after` });
      range.addEventListener("input", () => figure.style.setProperty("--at", `${range.value}%`));
      figure.append(range, make("span", { class: "handle" }), make("span", { class: "tag left" }, "before"), make("span", { class: "tag right" }, "after"));
    } else {
      figure.querySelector(".after")?.classList.remove("cut");
      const missing = has(run.after) ? null : run.size ? "no picture" : "no edit";
      figure.append(missing && !has(pair.before) ? make("span", { class: "gone" }, missing) : make("span", { class: "tag left" }, has(run.after) ? "after" : `before (${missing})`));
    }
    if (!large && figure.querySelector("img")) {
      const button = make("button", { class: "enlarge", type: "button", "aria-label": `enlarge ${name}` }, "⤢");
      button.addEventListener("click", () => enlarge(pair));
      figure.append(button);
    }
    return figure;
  }

  /* One pair as large as the window; its neighbours are those of the present view. */
  const stage = document.getElementById("stage");
  function enlarge(pair) {
    const place = shown.findIndex((entry) => entry.pair === pair);
    const go = (text, entry) => {
      const button = make("button", { type: "button", disabled: !entry }, text);
      button.addEventListener("click", () => enlarge(entry.pair));
      return button;
    };
    const close = make("button", { type: "button" }, "close");
    close.addEventListener("click", () => stage.close());
    const figures = pair.runs.map((run, index) => run && make("div", {},
      slider(pair, run, several ? `${pair.id}, run ${data.letters[index]}` : pair.id, true),
      make("p", { class: "score" }, several ? make("span", { class: `letter run-${data.letters[index].toLowerCase()}` }, data.letters[index]) : null, run.state === "ok" ? fixed(run.score) : words(run.state))));
    stage.replaceChildren(
      make("div", { class: "figures" }, figures),
      make("p", { class: "instruction", dir: "auto" }, pair.instruction),
      make("p", { class: "buttons" }, go("previous", shown[place - 1]), go("next", shown[place + 1]), make("bdi", { class: "muted" }, pair.id), close));
    fill(stage);
    if (!stage.open) stage.showModal();
    stage.querySelector("input")?.focus();
  }

  function criteria(run) {
    const entries = Object.entries(run.criteria);
    return entries.length
      ? make("dl", { class: "criteria" }, entries.map(([name, value]) => {
          const line = make("div", {}, make("dt", { title: name }, words(name)), make("dd", {}, String(value)));
          line.style.setProperty("--share", `${(100 * (value - low)) / (high - low)}%`);
          return line;
        }))
      : null;
  }

  function result(pair, run, index) {
    const letter = several ? make("span", { class: `letter run-${data.letters[index].toLowerCase()}` }, data.letters[index]) : null;
    if (!run) return make("div", { class: "result" }, make("p", { class: "score" }, letter), make("p", { class: "error" }, "not in this run"));
    const by = several && index ? moved({ runs: [pair.runs[0], run] }) : null;
    const score = run.state === "ok"
      ? make("p", { class: "score" }, letter, make("span", {}, fixed(run.score)), by === null ? null : make("span", { class: "moved" }, signed(by)))
      : make("p", { class: "score" }, letter, make("span", { class: "state" }, words(run.state)));
    const seconds = Object.entries(run.seconds).filter(([, value]) => typeof value === "number").map(([what, value]) => `${what} ${fixed(value, 1)} s`);
    const facts = [run.size && run.size.join("×"), ...seconds].filter(Boolean).join(" · ");
    return make("div", { class: "result" },
      several ? slider(pair, run, `${pair.id}, run ${data.letters[index]}`) : null,
      score,
      criteria(run),
      run.reason ? make("p", { class: "reason", dir: "auto" }, run.reason) : null,
      run.error ? make("p", { class: "error", dir: "auto" }, run.error.message) : null,
      make("details", {}, make("summary", {}, "reply and facts"),
        run.raw === null ? null : make("pre", { dir: "auto", tabindex: 0, "aria-label": "the judge's reply" }, run.raw),
        facts ? make("p", {}, facts) : null,
        Object.keys(pair.extra).length ? make("pre", { dir: "auto", tabindex: 0, "aria-label": "other fields of the pair" }, JSON.stringify(pair.extra, null, 1)) : null));
  }

  function card(pair) {
    const only = pair.runs[0];
    const link = make("a", { href: `#pair=${encodeURIComponent(pair.id)}` }, make("bdi", {}, pair.id));
    return make("article", { class: "card", "aria-label": pair.id },
      several ? null : slider(pair, only, pair.id),
      pair.more?.length ? make("div", { class: "more" }, pair.more.map((place) => image("", place, "a further source"))) : null,
      make("div", { class: "text" },
        make("p", { class: "meta" }, make("bdi", {}, pair.category), link),
        make("p", { class: "instruction", dir: "auto" }, pair.instruction)),
      make("div", { class: "columns" }, pair.runs.map((run, index) => result(pair, run, index))));
  }

  /* Pictures are set when their card comes near: thousands at once would be held twice. */
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { near.unobserve(entry.target); fill(entry.target); }
  }, { rootMargin: "1200px" });
  function fill(element) {
    for (const img of element.querySelectorAll("img[data-place]")) {
      const line = pictures[Number(img.dataset.place)];
      img.src = data.folder ? encodeURI(line) : `data:image/webp;base64,${line}`;
      img.removeAttribute("data-place");
    }
  }

  /* What the address says, and what is shown of it */
  const made = new Map();
  const pairs = data.pairs.map((pair, order) => ({
    pair, order,
    scores: pair.runs.filter((run) => run && run.state === "ok").map((run) => run.score),
    states: pair.runs.map((run) => (run ? run.state : "")),
    text: [pair.id, pair.category, pair.instruction, ...pair.runs.flatMap((run) => (run ? [run.reason, run.raw, run.error?.message] : []))].filter(Boolean).join("\n").toLocaleLowerCase(),
  }));
  const least = (entry) => (entry.scores.length ? Math.min(...entry.scores) : Infinity);
  const slowest = (entry) => Math.max(0, ...entry.pair.runs.map((run) => run?.seconds.edit ?? 0));
  const ORDERS = {
    best: (a, b) => Math.max(-1, ...b.scores) - Math.max(-1, ...a.scores),
    id: (a, b) => (a.pair.id < b.pair.id ? -1 : 1),
    slow: (a, b) => slowest(b) - slowest(a),
    drop: (a, b) => (moved(a.pair) ?? Infinity) - (moved(b.pair) ?? Infinity),
    rise: (a, b) => (moved(b.pair) ?? -Infinity) - (moved(a.pair) ?? -Infinity),
  };

  function wanted() {
    const said = new URLSearchParams(location.hash.slice(1));
    return Object.fromEntries(FIELDS.map((name) => [name, said.get(name) ?? ""]));
  }
  function matches(entry, state) {
    const { pair, scores, states, text } = entry;
    if (state.pair) return pair.id === state.pair;
    if (state.cat && pair.category !== state.cat) return false;
    if (state.state === "failed" ? !states.some((one) => one && one !== "ok") : state.state && !states.includes(state.state)) return false;
    const from = state.from === "" ? -Infinity : Number(state.from);
    const to = state.to === "" ? Infinity : Number(state.to);
    if (state.from + state.to && !scores.some((score) => from <= score && score <= to)) return false;
    if (state.differ && new Set(pair.runs.map((run) => run && (run.state === "ok" ? run.score : run.state))).size < 2) return false;
    return state.q.toLocaleLowerCase().split(/\s+/).every((word) => text.includes(word));
  }

  let turn = 0;
  let shown = []; // in their order
  let pending = []; // those of them whose card is not in the page yet
  function draw() {
    const state = wanted();
    for (const name of FIELDS) {
      const field = form.elements[name];
      if (!field || field === document.activeElement) continue;
      if (field.type === "checkbox") field.checked = Boolean(state[name]);
      else field.value = state[name];
    }
    shown = pairs.filter((entry) => matches(entry, state));
    const order = ORDERS[state.sort];
    if (order) shown.sort((a, b) => order(a, b) || a.order - b.order);
    const total = data.total > pairs.length ? `${pairs.length} worst of ${data.total}` : `${pairs.length}`;
    document.getElementById("count").textContent = shown.length === pairs.length ? `${total} pairs` : `${shown.length} of ${total} pairs`;
    home.replaceChildren(...(shown.length ? [] : [make("p", { class: "nothing" }, "No pair is like that.")]));
    pending = [...shown];
    more(++turn);
  }
  function more(mine, count = AT_ONCE) {
    if (mine !== turn) return;
    const part = pending.slice(0, count);
    pending = pending.slice(count);
    home.append(...part.map((entry) => {
      if (!made.has(entry)) made.set(entry, card(entry.pair));
      return made.get(entry);
    }));
    if (pictures) watch();
    if (pending.length) setTimeout(more, 0, mine);
    else if (mine === 1 && SECTION.test(location.hash)) document.querySelector(location.hash)?.scrollIntoView(); // it was pushed down
  }
  const watch = () => home.querySelectorAll(".card:has(img[data-place])").forEach((element) => near.observe(element));

  function go(changes) {
    const state = { ...wanted(), pair: "", ...changes };
    const said = new URLSearchParams(Object.entries(state).filter(([, value]) => value !== ""));
    history.replaceState(null, "", `#${said}`);
    draw();
  }
  const read = (field) => (field.type === "checkbox" ? (field.checked ? field.value : "") : field.value.trim());
  form.addEventListener("input", (event) => go({ [event.target.name]: read(event.target) }));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    document.activeElement?.blur();
    go(Object.fromEntries(FIELDS.map((name) => [name, ""])));
  });
  addEventListener("hashchange", () => {
    if (SECTION.test(location.hash)) return;
    draw();
    if (location.hash) document.getElementById("gallery").scrollIntoView();
  });
  document.addEventListener("click", (event) => {
    const pair = event.target.closest?.("circle[data-pair]")?.dataset.pair;
    if (pair) location.hash = `pair=${encodeURIComponent(pair)}`;
  });
  addEventListener("beforeprint", () => {
    more(turn, Infinity);
    if (pictures) fill(home);
  });
  document.addEventListener("DOMContentLoaded", () => {
    const block = document.getElementById("pictures");
    pictures = block.textContent.trim().split("\n");
    block.remove(); // the lines are copies; the text need not be held as well
    watch();
  });
  draw();
})();
