// What was asked on this device: the last fifty questions with their answers, in this browser only.

const PLACE = "anamnesis.history";
const OFF = "anamnesis.history.off";
const MOST = 50;

function read(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function write(name, value) {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
    return true;
  } catch {
    return false;
  }
}

export function isOn() {
  return read(OFF) === null;
}

/** Switching it off forgets what was kept. */
export function setOn(on) {
  write(OFF, on ? null : "1");
  if (!on) clear();
}

export function all() {
  try {
    const entries = JSON.parse(read(PLACE) ?? "[]");
    return Array.isArray(entries) ? entries.filter((entry) => entry && typeof entry.question === "string") : [];
  } catch {
    return [];
  }
}

export function find(id) {
  return all().find((entry) => entry.id === id) ?? null;
}

/** Keeps `{question, filter, answer}`; the oldest go first when there is no room. */
export function add(entry) {
  if (!isOn()) return;
  const kept = { id: crypto.randomUUID(), at: new Date().toISOString(), ...entry };
  const entries = [kept, ...all()].slice(0, MOST);
  while (entries.length && !write(PLACE, JSON.stringify(entries))) entries.pop();
}

export function remove(id) {
  write(PLACE, JSON.stringify(all().filter((entry) => entry.id !== id)));
}

export function clear() {
  write(PLACE, null);
}
