# /etc/dovecot/sieve/report-spam.sieve - what is moved into Junk is spam. The user's name has to be the mailbox's address.
require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];
if environment :matches "imap.user" "*" { set "user" "${1}"; }
pipe :copy "postern-report" ["spam", "${user}"];
