// Is that what a schema of openapi.json says? As JSON Schema has it, of the words that ours use; and stricter: where a schema names members, a
// member that it does not name is a fault, or nobody would read of it.

const types = { string: (v) => typeof v === "string", boolean: (v) => typeof v === "boolean", integer: Number.isInteger, number: (v) => typeof v === "number", null: (v) => v === null, array: Array.isArray, object: (v) => v !== null && typeof v === "object" && !Array.isArray(v) };

// A line each: where, and what is wrong.
export function faults(document, schema, value, where = "") {
    if (schema.$ref) return faults(document, document.components.schemas[schema.$ref.split("/").at(-1)], value, where);
    if (schema.anyOf) return schema.anyOf.some((one) => faults(document, one, value, where).length === 0) ? [] : [`${where} is none of several`];
    const allowed = [schema.type ?? []].flat();

    if (allowed.length > 0 && !allowed.some((name) => types[name](value))) return [`${where} is ${JSON.stringify(value)?.slice(0, 40)}, no ${allowed.join(" or ")}`];
    if (schema.enum && !schema.enum.includes(value)) return [`${where} is ${JSON.stringify(value)}, none of ${schema.enum.join(", ")}`];
    if (Array.isArray(value)) return schema.items ? value.flatMap((one, i) => faults(document, schema.items, one, `${where}/${i}`)) : [];
    if (!schema.properties || !types.object(value)) return [];
    return [...(schema.required ?? []).filter((name) => !(name in value)).map((name) => `${where} has no ${name}`),
        ...Object.entries(value).flatMap(([name, one]) => (schema.properties[name] ? faults(document, schema.properties[name], one, `${where}/${name}`) : [`${where}/${name} is not described`]))];
}
