// Sets the chosen theme before anything is painted: a module would run too late and the page would flash.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("anamnesis.theme");
  } catch {
    // storage may be forbidden: then the system's choice holds
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
