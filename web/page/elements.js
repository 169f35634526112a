/** Elements of this page and how people are drawn. Text is only ever set as text: a name is never markup. */

import { hue, initials } from "./format.js";

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new copy of a template's only element. */
export function copy(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

/** A person's circle: initials on a colour of their own, with a dot where presence is told. */
export function avatar(person, presence = null) {
  const circle = document.createElement("span");
  circle.className = "avatar";
  circle.setAttribute("aria-hidden", "true");
  circle.style.setProperty("--hue", hue(person.id));
  circle.textContent = initials(person.name || person.id);
  if (presence) circle.append(dot(presence));
  return circle;
}

function dot(presence) {
  const made = document.createElement("span");
  made.className = "dot";
  made.dataset.presence = presence;
  return made;
}

/** Sets text where it is another one: untouched elements cost nothing. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A button that is disabled while its work runs; `failed` hears a problem. */
export function button(label, kind, work, failed) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = `button ${kind}`;
  made.textContent = label;
  made.addEventListener("click", () => busy(made, work, failed));
  return made;
}

/** Runs work that a button began. */
export async function busy(pressed, work, failed) {
  pressed.disabled = true;
  try {
    await work();
  } catch (problem) {
    failed(problem);
  } finally {
    pressed.disabled = false;
  }
}

/** A person in a list of cards: who, a note, what can be done. */
export function card(person, note, actions) {
  const made = copy("card-template");
  made.dataset.id = person.id;
  made.querySelector(".person-avatar").replaceWith(avatar(person));
  say(made.querySelector(".person-name"), person.name || person.id);
  say(made.querySelector(".person-note"), note);
  for (const action of actions) {
    action.setAttribute("aria-label", `${action.textContent}: ${person.name || person.id}`);
    made.querySelector(".person-actions").append(action);
  }
  return made;
}
