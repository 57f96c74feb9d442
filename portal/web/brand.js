// How the page looks: the brand's colours, in the scheme that holds, and its picture in the tab.
const dark = matchMedia("(prefers-color-scheme: dark)");
const names = { accent: "--accent", on: "--on-accent", soft: "--accent-soft" };
let shown = {};

function paint() {
    const colours = (dark.matches && document.documentElement.dataset.scheme !== "light" ? shown.dark : shown.light) ?? {};

    for (const [key, name] of Object.entries(names))
        if (colours[key]) document.documentElement.style.setProperty(name, colours[key]);
        else document.documentElement.style.removeProperty(name);
}
dark.addEventListener("change", paint);

export function wear(brand) {
    shown = brand;
    paint();
    const icon = brand.logo && document.querySelector("link[rel=icon]");
    if (icon) { icon.removeAttribute("type"); icon.href = brand.logo; }
}
// Where else people of this brand have something: the links that there are.
export const elsewhere = (brand) => ["webmail", "contacts", "calendar"].filter((k) => brand[k]).map((k) => [k, brand[k]]);
