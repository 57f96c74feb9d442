# /etc/dovecot/sieve/report-ham.sieve - what is moved out of Junk is not spam, unless it is thrown away.
require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];
if environment :matches "imap.mailbox" "*" { set "mailbox" "${1}"; }
if string "${mailbox}" "Trash" { stop; }
if environment :matches "imap.user" "*" { set "user" "${1}"; }
pipe :copy "postern-report" ["ham", "${user}"];
