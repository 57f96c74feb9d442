// The mail of a day in ours.example, the oldest first, and what the filter finds in it.
const ANNA = "anna@ours.example", OTTO = "otto@ours.example";
const good = [["R_SPF_ALLOW", -0.2, "+ip4:192.0.2.0/24"], ["R_DKIM_ALLOW", -0.2], ["DMARC_POLICY_ALLOW", -0.5], ["BAYES_HAM", -2.1, "98.4%"]];
const bulk = [["R_SPF_ALLOW", -0.2], ["BAYES_SPAM", 3.9, "97.2%"], ["SUBJ_ALL_CAPS", 1.4], ["HTML_SHORT_LINK_IMG_1", 2.0], ["MIME_HTML_ONLY", 0.2]];
const bad = [["R_SPF_FAIL", 1.0, "-all"], ["R_DKIM_REJECT", 1.0], ["DMARC_POLICY_REJECT", 2.0, "bank.example"], ["BAYES_SPAM", 5.1, "100.0%"], ["PHISHING", 7.5, "bank.example->login-update.example"], ["BAYES_HAM", -0.0]];

const lines = [
    { from: "kurt@neighbours.example", name: "Kurt Vogel", subject: "The ladder you lent me", finds: good, ends: "sent" },
    { from: "noreply@rail.example", name: "Rail Tickets", subject: "Your booking 7KX42L: Hamburg to Leipzig, 27 November", finds: good, ends: "sent" },
    { from: "service@bank-secure.example", name: "\"Your Bank\"", subject: "Unusual sign-in: confirm your account today", finds: bad, body: "Dear customer,\r\n\r\nsomebody signed in from a new device. Confirm within 24 hours:\r\nhttps://bank.example.login-update.example/confirm\r\n\r\nYour Bank" },
    { from: "weekly@garden.example", name: "Garden Weekly", subject: "What to plant before the first frost", finds: [["BAYES_SPAM", 2.4, "88.0%"], ["MAILLIST", -0.2]], ends: "sent" },
    { from: "winner-204@prizes.example", name: "Prize Office", subject: "You have won: claim your prize before midnight", finds: bulk, body: "Congratulations!\r\n\r\nYour address was drawn. To claim, answer with your full name and address." },
    { to: OTTO, from: "billing@partner.example", name: "Partner Billing", subject: "Invoice 4711 for November", finds: good, ends: "sent" },
    { from: "offers@deals.example", name: "Deals of the Day", subject: "LAST CHANCE: 70% OFF EVERYTHING", finds: bulk, ends: "sent" },
    { to: OTTO, from: "lena@studio.example", name: "Lena Krause", subject: "Drafts for the new letterhead", finds: good, ends: "deferred" },
    { from: "lotto-office@jackpot.example", name: "International Lottery", subject: "Lottery: final notice regarding ticket 88-1204", finds: bulk, body: "Your ticket number 88-1204 was selected in the second round.\r\n\r\nWrite to claims@jackpot.example." },
    { from: "school@lindenhof.example", name: "Lindenhof School", subject: "Parents' evening moved to Thursday, 6 pm", finds: good, ends: "sent" },
    { from: "hr@consulting.example", name: "Talent Desk", subject: "Remote work, 400 per day, no experience", finds: [["BAYES_SPAM", 4.4, "99.1%"], ["R_SPF_SOFTFAIL", 1.0], ["FREEMAIL_REPLYTO", 2.0, "gmail.example"], ["MONEY_NUMBERS", 0.9]], ends: "sent" },
    { from: "dr.weiss@praxis.example", name: "Praxis Dr. Weiss", subject: "Your appointment on Monday at 9:15", finds: good, ends: "sent" },
    { to: OTTO, from: "ceo@ours-example.example", name: "\"Otto Lind\"", subject: "Urgent transfer, are you at your desk?", finds: [...bad.slice(0, 4), ["SPOOFED_DISPLAY_NAME", 6.5, "Otto Lind"]] },
    { from: "mira@reading.example", name: "Mira Holt", subject: "Book club: next title and the 3 December", finds: good, ends: "sent" },
    { from: "parcel@delivery-status.example", name: "Parcel Service", subject: "Your parcel is waiting: pay 1.99 for customs", finds: [["R_SPF_FAIL", 1.0], ["BAYES_SPAM", 5.1, "99.9%"], ["PHISHING", 7.5, "parcel.example->pay-now.example"], ["URL_SHORT", 1.9]], body: "Your parcel could not be delivered.\r\n\r\nPay 1.99 for customs: https://pay-now.example/p/88213\r\n\r\nParcel Service" },
    { from: "anton@workshop.example", name: "Anton Reiter", subject: "Re: The blue chairs are ready", finds: good, ends: "sent" },
];

export const findings = new Map(lines.map((l) => [l.subject, l.finds]));
export const letters = lines.map(({ finds, ...l }) => ({ to: ANNA, ...l }));
