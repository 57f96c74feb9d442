// A household for tests that want rules: two domains, some mailboxes, and a rule of each kind that tests name.
//
//   ours.example    blocks bad.example by the From field, and 192.0.2.66; allows subjects with "invoice"
//   joe@…           blocks subjects with "lottery"
//   ann@…           nothing of her own
//   theirs.example  blocks subjects with "newsletter"; defers nothing, tags nothing
export async function furnish(site) {
    const id = async (...args) => /Rule ([0-9a-f]{8}) added/.exec(await site.must("rule", "add", "--scope", ...args))[1];

    await site.must("domain", "add", "ours.example");
    await site.must("domain", "add", "theirs.example");
    await site.must("mailbox", "add", "joe@ours.example");
    await site.must("mailbox", "add", "ann@ours.example");
    return {
        sender: await id("domain:ours.example", "--name", "Nobody from bad.example", "--sender", "bad.example", "block"),
        ip: await id("domain:ours.example", "--name", "Not from there", "--ip", "192.0.2.66", "block"),
        invoice: await id("domain:ours.example", "--name", "Invoices are wanted", "--subject", "invoice", "allow"),
        lottery: await id("mailbox:joe@ours.example", "--name", "No lottery for Joe", "--subject", "lottery", "block"),
        newsletter: await id("domain:theirs.example", "--name", "No newsletters", "--subject", "newsletter", "block"),
    };
}

export const mail = ({ from = "someone@good.example", subject = "hello", extra = "", body = "Hello there.\n" } = {}) =>
    `From: ${from}\nTo: somebody@elsewhere.example\nSubject: ${subject}\nMessage-ID: <m1@good.example>\n${extra}\n${body}`;

// The numbers of /metrics whose name matches, by name with labels.
export function numbers(text, pattern) {
    const found = {};
    for (const line of text.split("\n")) {
        const [, name, value] = /^postern_rulesd_(\S+) (\S+)$/.exec(line) ?? [];
        if (name && pattern.test(name)) found[name] = Number(value);
    }
    return found;
}
