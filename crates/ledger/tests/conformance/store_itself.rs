//! A hand in the store itself, past the ledger: for what a newer program, a bad disk or a wrong clock may leave there.

use veobatch_ledger::LedgerUrl;

use crate::bench::Bench;

/// A part of a job as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// What was asked for.
    Spec,
    /// Its record.
    Body,
}

/// Everything of a job's entry up to its spec, or its body, stays. Returns what was there.
const REPLACE: &str = "
local P, folded, id, part, new = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key = P .. 'b' .. redis.call('HGET', P .. 'names', folded) .. (part == 'spec' and ':j' or ':s')
local all = redis.call('HGETALL', key)
for i = 1, #all, 2 do
  local head, name, old
  if part == 'spec' then
    head, old = string.match(all[i + 1], '^([^\\n]*\\n)(.*)$')
    name = string.match(head, '^[^\\n\\31]*')
  else
    head, old = string.match(all[i + 1], '^([^\\n]*\\n[^\\n]*\\n)(.*)$')
    name = string.match(head, '\\n([^\\n]*)\\n')
  end
  if name == id then
    redis.call('HSET', key, all[i], head .. new)
    return old
  end
end
return redis.error_reply('there is no ' .. id)";

/// Writes `new` in the place of a part of job `id`, and returns what was there.
pub(crate) async fn overwrite(bench: &Bench, batch: &str, id: &str, part: Part, new: &[u8]) -> Vec<u8> {
    if let Some(path) = bench.file() {
        let (table, column, key) = match part {
            Part::Spec => ("spec", "spec", "job"),
            Part::Body => ("job", "body", "id"),
        };
        let whose =
            "(SELECT job.id FROM job JOIN batch ON batch.id = job.batch WHERE batch.name = ?1 AND job.name = ?2)";
        let sql = rusqlite::Connection::open(path).unwrap();
        let old = format!("SELECT {column} FROM {table} WHERE {key} = {whose}");
        let old = sql.query_row(&old, [batch, id], |row| row.get(0)).unwrap();
        let change = format!("UPDATE {table} SET {column} = ?3 WHERE {key} = {whose}");
        assert_eq!(sql.execute(&change, (batch, id, new)).unwrap(), 1);
        return old;
    }
    let part = match part {
        Part::Spec => "spec",
        Part::Body => "body",
    };
    script(bench, REPLACE, &[batch.as_bytes(), id.as_bytes(), part.as_bytes(), new]).await
}

/// Runs a statement on the file.
pub(crate) fn sql(bench: &Bench, statement: &str) {
    let path = bench.file().unwrap();
    rusqlite::Connection::open(path).unwrap().execute(statement, []).unwrap();
}

/// Runs a script on the server, with the queue's tag as its key.
pub(crate) async fn script<T: redis::FromRedisValue>(bench: &Bench, script: &str, args: &[&[u8]]) -> T {
    let LedgerUrl::Redis(_) = bench.url() else { panic!("there is no server") };
    let given = bench.url().shown();
    let (server, queue) = given.split_once("?queue=").unwrap_or((&given, "veobatch"));
    let mut server = server.to_owned();
    loop {
        let client = redis::Client::open(&*server).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let script = redis::Script::new(script);
        let mut call = script.prepare_invoke();
        call.key(format!("{{{queue}}}:"));
        for arg in args {
            call.arg(*arg);
        }
        match call.invoke_async(&mut connection).await {
            Ok(answer) => return answer,
            // Another node of the cluster has it: "MOVED slot host:port".
            Err(error) => {
                let told = error.to_string();
                let moved = told.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
                server = format!("redis://{}/0", moved.unwrap_or_else(|| panic!("{told}")));
            }
        }
    }
}
