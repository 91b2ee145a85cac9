// Draws the OpenAPI document of this server. Everything is made with textContent: what the
// document says is text, never markup.
"use strict";

const methods = ["get", "post", "put", "delete"];

// make returns an element with a class, children and attributes.
function make(tag, className, children = [], attributes = {}) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  for (const child of [].concat(children)) if (child != null) e.append(child);
  return e;
}

// rich turns `code` in a text into code.
function rich(text) {
  return (text || "").split("`").map((part, i) => (i % 2 ? make("code", "", part) : part));
}

function refName(schema) {
  return schema.$ref ? schema.$ref.split("/").pop() : "";
}

// typeOf names a schema in a word, with a link to what it names.
function typeOf(schema) {
  if (!schema) return ["any"];
  const name = refName(schema);
  if (name) return [make("a", "", name, { href: "#schema-" + name })];
  const types = [].concat(schema.type || "any");
  const main = types.find((t) => t !== "null") || "any";
  const out = [];
  if (main === "array") out.push("list of ", ...typeOf(schema.items));
  else if (main === "object" && schema.additionalProperties && schema.additionalProperties !== true)
    out.push("map of ", ...typeOf(schema.additionalProperties));
  else if (schema.format === "date-time") out.push("time");
  else out.push(main);
  if (types.includes("null")) out.push(" or null");
  return out;
}

function notes(schema, description) {
  const out = rich(description || schema.description);
  const add = (...parts) => out.push(out.length ? " " : "", ...parts);
  const values = schema.enum || (schema.items && schema.items.enum);
  if (values) add("One of ", ...values.flatMap((v, i) => [i ? ", " : "", make("code", "", String(v))]), ".");
  if (schema.default !== undefined) add("Default ", make("code", "", String(schema.default)), ".");
  if (schema.maximum !== undefined) add(`At most ${schema.maximum}.`);
  return out;
}

function row(name, required, schema, description) {
  return make("tr", "", [
    make("td", "", make("span", required ? "required" : "", name)),
    make("td", "", typeOf(schema)),
    make("td", "", notes(schema, description)),
  ]);
}

function properties(schema) {
  const required = schema.required || [];
  const names = Object.keys(schema.properties || {});
  names.sort((a, b) => required.includes(b) - required.includes(a));
  return make("table", "", names.map((n) => row(n, required.includes(n), schema.properties[n])));
}

function pathParts(path) {
  return path.split(/(\{[^}]+\})/).map((part) => (part.startsWith("{") ? make("b", "", part) : part));
}

function content(media) {
  return Object.entries(media || {}).flatMap(([type, m], i) => [
    i ? ", " : "",
    ...(type === "application/json" ? typeOf(m.schema) : [make("code", "", type)]),
  ]);
}

function operation(path, method, op) {
  const inside = make("div", "inside", make("span", "permission", ["permission ", make("code", "", op["x-permission"])]));
  if (op.description) inside.append(make("p", "", rich(op.description)));
  const params = op.parameters || [];
  if (params.length) {
    inside.append(make("h4", "", "Parameters"));
    inside.append(make("table", "", params.map((p) => row(p.name, p.required, p.schema || {}, p.description))));
  }
  if (op.requestBody) {
    inside.append(make("h4", "", "Body"), make("p", "", content(op.requestBody.content)));
  }
  inside.append(make("h4", "", "Answers"));
  inside.append(make("table", "", Object.entries(op.responses).map(([status, r]) =>
    make("tr", "", [
      make("td", "status", status === "default" ? "error" : status),
      make("td", "", content(r.content)),
      make("td", "", rich(r.description)),
    ]))));
  const summary = make("summary", "", [
    make("span", "method " + method, method.toUpperCase()),
    make("span", "path", pathParts(path)),
    make("span", "summary", op.summary),
  ]);
  const box = make("details", "op", [summary, inside], { id: op.operationId });
  box.dataset.text = `${method} ${path} ${op.summary} ${op.operationId}`.toLowerCase();
  return box;
}

function draw(doc) {
  document.getElementById("intro").replaceChildren(...rich(doc.info.description));
  const texts = Object.fromEntries((doc.tags || []).map((t) => [t.name, t.description]));
  const groups = new Map();
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const method of methods) {
      const op = item[method];
      if (!op) continue;
      const tag = op.tags[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push({ path, method, op });
    }
  }
  const first = ["instances", "workflows", "apply", "validate", "diff", "export"];
  const rank = (tag) => (first.includes(tag) ? first.indexOf(tag) : first.length);
  const order = [...groups.keys()].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));

  const nav = document.getElementById("nav");
  const main = document.getElementById("operations");
  main.replaceChildren();
  for (const tag of order) {
    const section = make("section", "group", [make("h2", "", tag), make("p", "quiet", texts[tag])]);
    const links = make("div", "", make("h2", "", tag));
    for (const { path, method, op } of groups.get(tag)) {
      const box = operation(path, method, op);
      section.append(box);
      const link = make("a", "", [make("span", "method " + method, method.toUpperCase()), make("span", "name", op.operationId.replaceAll("-", " "))],
        { href: "#" + op.operationId, title: path });
      link.dataset.text = box.dataset.text;
      links.append(link);
    }
    main.append(section);
    nav.append(links);
  }

  const schemas = make("section", "group", make("h2", "", "Objects"));
  for (const [name, schema] of Object.entries(doc.components.schemas)) {
    schemas.append(make("details", "schema", [make("summary", "", name), make("div", "", properties(schema))], { id: "schema-" + name }));
  }
  document.getElementById("schemas").append(schemas);
}

// open shows what the address names.
function open() {
  const e = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (e && e.tagName === "DETAILS") {
    e.open = true;
    e.scrollIntoView();
  }
}

function filter(text) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (e) => wanted.every((w) => e.dataset.text.includes(w));
  for (const e of document.querySelectorAll("[data-text]")) e.hidden = !fits(e);
  for (const group of document.querySelectorAll("#nav > div, #operations > section"))
    group.hidden = ![...group.querySelectorAll("[data-text]")].some((e) => !e.hidden);
}

async function start() {
  document.getElementById("origin").textContent = location.origin;
  document.getElementById("filter").addEventListener("input", (e) => filter(e.target.value));
  addEventListener("hashchange", open);
  try {
    const [doc, version] = await Promise.all(["/api/v1/openapi.json", "/api/v1/version"].map(async (url) => {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
      return answer.json();
    }));
    document.getElementById("version").textContent = version.version;
    draw(doc);
    open();
  } catch (err) {
    document.getElementById("operations").replaceChildren(make("p", "quiet", `The document could not be read: ${err.message}`));
  }
}

start();
