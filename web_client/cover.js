// What lies over a picture that has nothing to show: an invitation, a spinner, or an error with buttons.

const ICONS = "http://www.w3.org/2000/svg";

function icon(name) {
  const svg = document.createElementNS(ICONS, "svg");
  const use = document.createElementNS(ICONS, "use");
  use.setAttribute("href", `#${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  if (text) element.textContent = text;
  return element;
}

export class Cover {
  /** `actions`: {name: [label, function]}; a notice names the ones it wants. */
  constructor(element, actions) {
    this.element = element;
    this.actions = actions;
  }

  hide() {
    clearInterval(this.counting);
    this.element.replaceChildren();
    this.element.dataset.kind = "none";
  }

  /** An invitation or an explanation: `{icon?, title, text, actions, retryAfter?}`. */
  show(kind, { icon: name, title, text, actions = [], retryAfter }) {
    clearInterval(this.counting);
    this.element.dataset.kind = kind;
    const body = make("div", "cover-body");
    if (name) body.append(icon(name));
    if (kind === "busy") body.append(make("i", "spinner"));
    body.append(make("h2", "", title), make("p", "", text));
    const row = make("div", "actions");
    const buttons = actions.map((action, index) => this.#button(action, index));
    row.append(...buttons);
    if (buttons.length) body.append(row);
    this.element.replaceChildren(body);
    // Said once: a live region around the cover would read every second of a countdown.
    document.getElementById("alert").textContent = kind === "error" ? `${title}. ${text}` : "";
    if (retryAfter) this.#countDown(buttons[0], retryAfter);
  }

  #button(action, index) {
    const [label, run] = this.actions[action];
    const button = make("button", index ? "" : "primary", label);
    button.type = "button";
    button.dataset.action = action;
    button.addEventListener("click", run);
    return button;
  }

  #countDown(button, seconds) {
    const label = button.textContent;
    let left = seconds;
    const show = () => {
      button.disabled = left > 0;
      button.textContent = left > 0 ? `${label} in ${left} s` : label;
    };
    show();
    this.counting = setInterval(() => {
      left -= 1;
      show();
      if (left <= 0) clearInterval(this.counting);
    }, 1000);
  }
}
