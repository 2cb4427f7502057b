// See LICENSE file for copyright and licence details.
// Mails by nodemailer, as given on stdin in JSON: { options, mails: [{ from, to, file }] } or, with
// `compose`, mails that nodemailer builds itself. One line of answer for each.
'use strict';
const fs = require('fs');
const nodemailer = require('nodemailer');

const job = JSON.parse(fs.readFileSync(0, 'utf8'));
if (job.ca)
	job.options.tls = { ca: fs.readFileSync(job.ca), servername: 'localhost' };

async function main() {
	const t = nodemailer.createTransport(job.options);
	await t.verify();
	for (const m of job.mails) {
		const mail = m.file
			? { envelope: { from: m.from, to: [m.to] }, raw: fs.readFileSync(m.file) }
			: m;
		const info = await t.sendMail(mail);
		console.log(info.response);
	}
	t.close();
}

main().catch((e) => { console.error(e); process.exit(1); });
