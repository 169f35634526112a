/** Elements of this page and how users are drawn. Text is always set as text: a name is never markup. */

import { hue, initials } from "./format.js";

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new copy of the only element of a template. */
export function copy(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

/** A user's avatar: initials on a colour derived from the id, with a dot where presence is given. */
export function avatar(user, presence = null) {
  const circle = document.createElement("span");
  circle.className = "avatar";
  circle.setAttribute("aria-hidden", "true");
  circle.style.setProperty("--hue", hue(user.id));
  circle.textContent = initials(user.name || user.id);
  if (presence) circle.append(dot(presence));
  return circle;
}

function dot(presence) {
  const made = document.createElement("span");
  made.className = "dot";
  made.dataset.presence = presence;
  return made;
}

/** Sets text only where it differs: unchanged elements cost nothing. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A button that is disabled while its action runs; `onProblem` receives an error. */
export function button(label, kind, action, onProblem) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = `button ${kind}`;
  made.textContent = label;
  made.addEventListener("click", () => busy(made, action, onProblem));
  return made;
}

/** Runs the action of a button, which is disabled until it ends. */
export async function busy(pressed, action, onProblem) {
  pressed.disabled = true;
  try {
    await action();
  } catch (problem) {
    onProblem(problem);
  } finally {
    pressed.disabled = false;
  }
}

/** A user in a list of cards: name, a note, and buttons. */
export function card(user, note, actions) {
  const made = copy("card-template");
  made.dataset.id = user.id;
  made.querySelector(".user-avatar").replaceWith(avatar(user));
  say(made.querySelector(".user-name"), user.name || user.id);
  say(made.querySelector(".user-note"), note);
  for (const action of actions) {
    action.setAttribute("aria-label", `${action.textContent}: ${user.name || user.id}`);
    made.querySelector(".user-actions").append(action);
  }
  return made;
}
