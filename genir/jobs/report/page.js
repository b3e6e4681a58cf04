"use strict";

// Theme: what the reader chose, else what the system says.
const root = document.documentElement;
const themeButton = document.getElementById("theme");
const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const remember = (value) => { try { localStorage.setItem("genir-theme", value); } catch { /* storage may be off */ } };
const remembered = () => { try { return localStorage.getItem("genir-theme"); } catch { return null; } };
const showTheme = () => themeButton.setAttribute("aria-pressed", String(isDark()));
if (remembered()) root.dataset.theme = remembered();
showTheme();
themeButton.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remember(root.dataset.theme);
  showTheme();
});

// Tables: a click on a head sorts, another one turns the order.
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    if (table.tBodies[0].rows[0]?.cells[column].classList.contains("number")) head.classList.add("number");
    head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        const sign = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
        return up ? sign : -sign;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    });
  });
}

for (const pair of document.querySelectorAll(".pair")) {
  const range = pair.querySelector("input");
  range.addEventListener("input", () => pair.querySelector(".over").style.setProperty("--cut", `${range.value}%`));
}

const data = JSON.parse(document.getElementById("data").textContent);
if (data) gallery(data);

function gallery({ run, scores, limits, cards }) {
  const PAGE = 60;
  const form = document.getElementById("filters");
  const list = document.getElementById("cards");
  const more = document.getElementById("more");
  const dialog = document.getElementById("details");
  let found = [];
  let shown = 0;
  let open = 0;

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const say = (card) => (card.verdict === "kept" ? "kept" : card.reason || card.verdict);
  const format = (value) => (value === null ? "not measured" : Number(value.toPrecision(4)).toString());
  const fails = (value, [low, high]) => value !== null && ((low !== null && value < low) || (high !== null && value > high));

  // what the score was that failed: the reason signal.entropy is the column signal_entropy
  const reached = (card) => {
    const place = scores.indexOf(card.reason === "face" ? "face_score" : card.reason.replace(".", "_"));
    return card.verdict === "rejected" && place >= 0 ? format(card.scores[place]) : "";
  };
  const bounds = ([low, high]) =>
    [low !== null && `min ${low}`, high !== null && `max ${high}`].filter(Boolean).join(", ");

  const offer = (name, values) => {
    const counts = new Map();
    values.forEach((value) => counts.set(value, (counts.get(value) || 0) + 1));
    for (const [value, count] of [...counts].sort((a, b) => b[1] - a[1])) {
      form.elements[name].append(element("option", { value, textContent: `${value || "(none)"} (${count})` }));
    }
  };
  offer("verdict", cards.map(say));
  offer("category", cards.map((card) => card.category));
  scores.forEach((name, place) => form.elements.sort.append(element("option", { value: place, textContent: name })));

  const image = (card, alt) =>
    card.image
      ? element("img", { src: card.image, alt, decoding: "async" })
      : element("div", { className: "blank", textContent: card.remark });

  const draw = () => {
    for (const [place, card] of found.slice(shown, shown + PAGE).entries()) {
      const number = shown + place;
      const button = element(
        "button",
        { type: "button", className: card.verdict },
        image(card, ""), // the prompt stands below it
        element("b", { textContent: [say(card), reached(card)].filter(Boolean).join(" ") }),
        element("small", { textContent: card.prompt, title: card.prompt }),
      );
      button.addEventListener("click", () => show(number));
      list.append(element("li", {}, button));
    }
    shown = Math.min(shown + PAGE, found.length);
    more.hidden = shown >= found.length;
  };

  const filter = () => {
    const { verdict, category, text, sort, down } = form.elements;
    const part = text.value.trim().toLowerCase();
    found = cards.filter(
      (card) =>
        (!verdict.value || say(card) === verdict.value) &&
        (!category.value || card.category === category.value) &&
        (!part || card.prompt.toLowerCase().includes(part) || card.key.includes(part)),
    );
    const sign = down.checked ? -1 : 1;
    if (sort.value !== "") {
      const value = (card) => card.scores[sort.value];
      found.sort((a, b) => (value(a) === null) - (value(b) === null) || sign * (value(a) - value(b)));
    } else if (down.checked) found.reverse();
    list.replaceChildren();
    shown = 0;
    document.getElementById("count").textContent = `${found.length} of ${cards.length} in this sample`;
    draw();
  };

  const show = (number) => {
    open = number;
    const card = found[number];
    document.getElementById("details-title").textContent = `${card.key} – ${say(card)}`;
    document.getElementById("copy").textContent = "Copy";
    document.getElementById("details-image").replaceChildren(image(card, card.prompt));
    document.getElementById("details-prompt").textContent = card.prompt;
    document.getElementById("details-command").textContent = `genir regenerate ${run} --key ${card.key}`;
    const facts = [["category", card.category], ["size", card.size], ["seed", card.seed]];
    if (card.error) facts.push(["error", card.error]);
    if (card.remark) facts.push(["picture", card.remark]);
    const rows = facts.flatMap(([name, value]) => [element("dt", { textContent: name }), element("dd", { textContent: value })]);
    scores.forEach((name, place) => {
      const value = card.scores[place];
      const limit = limits[name] ?? [null, null];
      const failed = fails(value, limit);
      const words = [failed && "outside", bounds(limit)].filter(Boolean).join(" ");
      rows.push(
        element("dt", { textContent: name }),
        element("dd", { textContent: format(value) + (words ? ` (${words})` : ""), className: failed ? "fails" : "" }),
      );
    });
    document.getElementById("details-facts").replaceChildren(...rows);
    if (!dialog.open) dialog.showModal();
  };

  const turn = (step) => show((open + step + found.length) % found.length);
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) turn(step);
  });
  document.getElementById("previous").addEventListener("click", () => turn(-1));
  document.getElementById("next").addEventListener("click", () => turn(1));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  const copy = document.getElementById("copy");
  copy.addEventListener("click", async () => {
    const command = document.getElementById("details-command");
    try {
      await navigator.clipboard.writeText(command.textContent);
      copy.textContent = "Copied";
    } catch { // not allowed here: select it for the reader
      getSelection().selectAllChildren(command);
      copy.textContent = "Selected";
    }
  });
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", draw);
  filter();
}
