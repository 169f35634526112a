// Shows /openapi.json and sends calls from the same page. Builds nodes, never HTML from text.

const el = (name, props = {}, ...children) => {
  const node = Object.assign(document.createElement(name), props);
  node.append(...children.filter((child) => child !== null));
  return node;
};
const byId = (id) => document.getElementById(id);
const HEADERS = {
  user: (value) => ["Authorization", `Bearer ${value}`],
  service: (value) => ["X-Service-Key", value],
  console: (value) => ["X-Console-Key", value],
};

const refName = (ref) => ref.split("/").pop();

// A schema in one line, with links to the named ones.
const brief = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return el("a", { href: `#schema-${refName(schema.$ref)}` }, refName(schema.$ref));
  const parts = el("span");
  if (schema.anyOf) {
    schema.anyOf.forEach((one, index) => parts.append(index ? " or " : "", brief(one)));
    return parts;
  }
  if (schema.type === "array") {
    parts.append("list of ", brief(schema.items));
  } else {
    parts.append((schema.enum ?? [schema.const ?? schema.type ?? "any"]).join(" | "));
  }
  const limits = ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "format", "default"];
  const said = limits.filter((key) => key in schema).map((key) => `${key} ${JSON.stringify(schema[key])}`);
  if (said.length) parts.append(` (${said.join(", ")})`);
  return parts;
};

const row = (...cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell)));

const example = (schema, all, depth = 0) => {
  if (!schema || depth > 8) return null;
  if (schema.$ref) return example(all[refName(schema.$ref)], all, depth + 1);
  if (schema.type === "object") {
    const members = Object.entries(schema.properties ?? {});
    return Object.fromEntries(members.map(([name, one]) => [name, example(one, all, depth + 1)]));
  }
  if (schema.type === "array") return [example(schema.items, all, depth + 1)];
  return schema.default ?? schema.enum?.[0] ?? (schema.type === "string" ? "…" : null);
};

const call = async (route, fields, body, out) => {
  let path = route.path;
  const query = new URLSearchParams();
  for (const [parameter, input] of fields) {
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value !== "") query.set(parameter.name, input.value);
  }
  const headers = {};
  for (const scheme of (route.security ?? []).flatMap(Object.keys)) {
    const [name, value] = HEADERS[scheme](byId(scheme)?.value ?? "");
    headers[name] = value;
  }
  if (body) headers["Content-Type"] = "application/json";
  const address = query.size ? `${path}?${query}` : path;
  const begun = performance.now();
  try {
    const response = await fetch(address, { method: route.method, headers, body: body?.value });
    const text = await response.text();
    const took = (performance.now() - begun).toFixed(1);
    out.textContent = `${response.status} ${response.statusText} · ${took} ms\n\n${pretty(text)}`;
  } catch (error) {
    out.textContent = `No response: ${error.message}`;
  }
};

const pretty = (text) => {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
};

const showRoute = (route, all) => {
  const fields = (route.parameters ?? []).map((parameter) => [parameter, el("input", { ariaLabel: parameter.name })]);
  const schema = route.requestBody?.content["application/json"]?.schema;
  const body = schema ? el("textarea", { ariaLabel: "body" }, JSON.stringify(example(schema, all), null, 2)) : null;
  const out = el("pre", { hidden: true });
  const send = el("button", { type: "button" }, "Send");
  send.addEventListener("click", () => { out.hidden = false; call(route, fields, body, out); });
  const responses = Object.entries(route.responses).map(([status, one]) => {
    const content = Object.values(one.content ?? {})[0];
    return row(el("code", {}, status), one.description.replaceAll("`", ""), brief(content?.schema));
  });
  const scheme = (route.security ?? []).flatMap(Object.keys).join(", ") || "anyone";
  return el("details", { id: route.operationId },
    el("summary", {}, el("span", { className: "method" }, route.method.toUpperCase()),
      el("span", { className: "path" }, route.path), ` · ${route.summary}`),
    el("div", {},
      el("p", {}, route.description), el("p", {}, `Called by: ${scheme}`),
      fields.length
        ? el("table", {}, ...fields.map(([p, input]) => row(el("code", {}, p.name), p.in, brief(p.schema), input)))
        : null,
      schema ? el("p", {}, "Body: ", brief(schema)) : null, body,
      el("p", {}, send), out, el("table", {}, ...responses)));
};

const showSchema = (name, schema) => {
  const needed = new Set(schema.required ?? []);
  const members = Object.entries(schema.properties ?? {}).map(([key, one]) =>
    row(el("code", {}, key), needed.has(key) ? "always" : "optional", brief(one), one.description ?? ""));
  return el("div", { id: `schema-${name}` }, el("h3", {}, name), el("p", {}, schema.description ?? ""),
    members.length ? el("table", {}, ...members) : el("p", {}, brief(schema)));
};

const showCode = ([code, one]) => [
  el("dt", { id: `problem-${code}` }, code, el("small", {}, ` · ${one.status}${one.temporary ? " · try again" : ""}`)),
  el("dd", {}, one.message),
];

const show = (doc) => {
  byId("version").textContent = doc.info.version;
  byId("about").textContent = doc.info.description.replaceAll("`", "");
  const all = doc.components.schemas;
  const tags = new Map();
  for (const [path, methods] of Object.entries(doc.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      tags.set(tag, [...(tags.get(tag) ?? []), { ...operation, path, method }]);
    }
  }
  for (const [tag, routes] of tags) {
    byId("routes").append(el("h2", {}, tag), ...routes.map((route) => showRoute(route, all)));
    byId("contents").append(...routes.map((route) =>
      el("a", { href: `#${route.operationId}` }, `${route.method.toUpperCase()} ${route.path}`)));
  }
  byId("codes").append(...Object.entries(doc["x-problems"]).flatMap(showCode));
  byId("schemas").append(...Object.entries(all).map(([name, schema]) => showSchema(name, schema)));
};

const follow = () => {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName === "DETAILS") target.open = true;
  target?.scrollIntoView();
};

show(await (await fetch("/openapi.json")).json());
byId("keys").addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", follow);
follow();
