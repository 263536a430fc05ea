//! The jobs of the book in `docs/`, each with what it makes of some records. A tidy test compares
//! the book's text with this file.

mod first {
    use streamhost::{Job, Record, Row, fields, hbase, job, kafka, seconds};

    #[derive(Row, Clone)]
    struct Click<'a> {
        #[row(key)]
        id: &'a str,
        #[row("clickinfo:studentid")]
        student: &'a str,
        #[row("clickinfo:url")]
        url: &'a str,
        #[row("iteminfo:quantity")]
        quantity: u64,
    }

    fn parse(record: Record<'_>) -> Result<Click<'_>, String> {
        let [id, student, url, quantity] = fields(record.text()?, ',')?;
        let quantity = quantity.parse().map_err(|_| "no quantity")?;
        Ok(Click {
            id,
            student,
            url,
            quantity,
        })
    }

    #[job]
    fn clicks() -> Job {
        kafka("clicks")
            .every(seconds(10))
            .try_map(parse) // an Err goes to the dead letters, with its reason
            .filter(|click| click.quantity > 0)
            .to(hbase("clicks"))
    }

    #[test]
    fn good_clicks_become_rows_and_bad_ones_dead_letters() {
        let mut job = streamhost::testing::run(clicks);
        job.send("clicks", ["1,ann,/home,2", "2,bob,/home,0", "3,cho"]);
        assert_eq!(
            job.rows("clicks"),
            ["key=1 clickinfo:studentid=ann clickinfo:url=/home iteminfo:quantity=2"]
        );
        assert_eq!(
            job.dead_letters(),
            ["clicks@2: the line has 2 fields, not 4"]
        );
    }
}

mod errors {
    use streamhost::{Job, console, file, job};

    #[job]
    fn errors() -> Job {
        file("logs")
            .follow()
            .try_map(|line| line.text())
            .filter(|line| line.contains("error"))
            .map(|line| line.to_uppercase())
            .to(console())
    }

    #[test]
    fn lines_with_errors_are_shown() {
        let mut job = streamhost::testing::run(errors);
        job.send("logs", ["all is well", "disk error"]);
        assert_eq!(job.rows("console"), ["value=DISK ERROR"]);
    }
}

mod squares {
    use streamhost::{Job, Record, console, job, rate};

    fn number(record: Record<'_>) -> Result<u64, String> {
        record.text()?.parse().map_err(|_| "no number".into())
    }

    #[job]
    fn squares() -> Job {
        rate(10)
            .try_map(number)
            .map(|n| format!("{n} * {n} = {}", n * n))
            .to(console())
    }

    #[test]
    fn numbers_are_squared() {
        let mut job = streamhost::testing::run(squares);
        job.send("rate", ["3"]);
        assert_eq!(job.rows("console"), ["value=3 * 3 = 9"]);
    }
}

mod merged {
    use streamhost::{Job, job, kafka};

    #[job]
    fn merged() -> Job {
        let shop = kafka("orders-shop").to(kafka("orders"));
        let web = kafka("orders-web").to(kafka("orders-copy"));
        shop.and(web)
    }

    #[test]
    fn each_source_has_its_chain() {
        let mut job = streamhost::testing::run(merged);
        job.send("orders-shop", ["a"]).send("orders-web", ["b"]);
        assert_eq!(job.rows("orders"), ["value=a"]);
        assert_eq!(job.rows("orders-copy"), ["value=b"]);
    }
}

mod visitors {
    use streamhost::{Job, job, kafka};

    #[job]
    fn visitors() -> Job {
        kafka("visits")
            .try_map(|visit| visit.text())
            .key_by(|user| *user)
            .running()
            .distinct()
            .map(|user| user.key)
            .to(kafka("new-visitors"))
    }

    #[test]
    fn each_visitor_is_given_once() {
        let mut job = streamhost::testing::run(visitors);
        job.send("visits", ["ann", "bob", "ann"]);
        job.send("visits", ["cho", "bob"]);
        let mut rows = job.rows("new-visitors");
        rows.sort();
        assert_eq!(rows, ["value=ann", "value=bob", "value=cho"]);
    }
}

mod offers {
    use streamhost::{Job, Record, console, fields, job, kafka};

    fn offer(record: Record<'_>) -> Result<(&str, u64), String> {
        let [item, cents] = fields(record.text()?, ',')?;
        Ok((item, cents.parse().map_err(|_| "no price")?))
    }

    #[job]
    fn offers() -> Job {
        kafka("offers")
            .try_map(offer)
            .key_by(|(item, _)| *item)
            .each_batch()
            .min(|(_, cents)| cents)
            .to(console())
    }

    #[test]
    fn the_least_price_of_each_batch() {
        let mut job = streamhost::testing::run(offers);
        job.send("offers", ["tea,300", "tea,250", "tea,275"]);
        assert_eq!(job.rows("console"), ["key=tea value=250"]);
    }
}

mod longest {
    use streamhost::{Group, Job, Record, console, fields, job, kafka, minutes, tumbling};

    fn length(record: Record<'_>) -> Result<(&str, u64), String> {
        let [caller, seconds] = fields(record.text()?, ',')?;
        Ok((caller, seconds.parse().map_err(|_| "no length")?))
    }

    #[job]
    fn longest() -> Job {
        kafka("calls")
            .try_map(length)
            .key_by(|_| ())
            .window(tumbling(minutes(1)))
            .reduce(|a, b| if (b.1, b.0) > (a.1, a.0) { b } else { a })
            .map(
                |Group {
                     value: (caller, seconds),
                     ..
                 }| format!("{caller}: {seconds} s"),
            )
            .to(console())
    }

    #[test]
    fn the_longest_call_of_each_minute() {
        let mut job = streamhost::testing::run(longest);
        job.send("calls", ["ann,10", "bob,70", "cho,40"]);
        job.end();
        assert_eq!(job.rows("console"), ["value=bob: 70 s"]);
    }
}

mod online {
    use streamhost::{Job, console, job, kafka, minutes};

    #[job]
    fn online() -> Job {
        kafka("pings")
            .try_map(|ping| ping.text())
            .key_by(|user| *user)
            .named("users")
            .running()
            .expire_after(minutes(30))
            .count()
            .to(console())
    }

    #[test]
    fn a_silent_user_is_forgotten() {
        let mut job = streamhost::testing::run(online);
        job.send("pings", ["ann", "ann"]);
        assert_eq!(job.rows("console"), ["key=ann value=2"]);
        job.pass(minutes(45));
        assert_eq!(job.kept("users"), 0);
        job.send("pings", ["ann"]);
        assert_eq!(job.rows("console"), ["key=ann value=1"]);
    }
}

mod live {
    use streamhost::{Group, Job, Row, Time, hbase, hopping, job, kafka, minutes};

    #[derive(Row)]
    #[row(separator = "#")]
    struct Views<'a> {
        #[row(key)]
        page: &'a str,
        #[row(key)]
        from: Time,
        #[row("v:count")]
        count: u64,
    }

    #[job]
    fn live() -> Job {
        kafka("views")
            .try_map(|view| view.text())
            .key_by(|page| *page)
            .window(hopping(minutes(10), minutes(5)).early_results())
            .count()
            .map(
                |Group {
                     key, value, window, ..
                 }| Views {
                    page: key,
                    from: window.start,
                    count: value,
                },
            )
            .to(hbase("views"))
    }

    #[test]
    fn a_window_is_shown_as_it_grows() {
        let mut job = streamhost::testing::run(live);
        job.send("views", ["a"]);
        job.rows("views");
        job.send("views", ["a"]);
        assert!(job.rows("views").contains(&"key=a#0 v:count=2".to_owned()));
    }
}

mod per_minute {
    use streamhost::{Job, console, job, kafka, minutes, tumbling};

    #[job]
    fn per_minute() -> Job {
        kafka("views")
            .try_map(|view| view.text())
            .key_by(|page| *page)
            .window(tumbling(minutes(1)).processing_time())
            .count()
            .to(console())
    }

    #[test]
    fn the_batches_clock_ends_a_window() {
        let mut job = streamhost::testing::run(per_minute);
        job.send("views", ["a", "a"]);
        assert!(job.rows("console").is_empty());
        job.pass(minutes(1));
        assert_eq!(job.rows("console"), ["key=a value=2"]);
    }
}

mod unpaid {
    use streamhost::{Job, Record, fields, job, kafka, minutes, within};

    fn pair(record: Record<'_>) -> Result<[&str; 2], String> {
        Ok(fields(record.text()?, ',')?)
    }

    #[job]
    fn unpaid() -> Job {
        let payments = kafka("payments").try_map(pair).key_by(|[order, _]| *order);
        kafka("orders")
            .try_map(pair)
            .key_by(|[order, _]| *order)
            .left_join(payments, within(minutes(15)), |[order, _], payment| {
                payment.is_none().then_some(order)
            })
            .flat_map(|order| order)
            .to(kafka("unpaid"))
    }

    #[test]
    fn orders_without_a_payment_are_told() {
        let mut job = streamhost::testing::run(unpaid);
        job.send("payments", ["1,500"]);
        job.send("orders", ["1,tea", "2,milk"]);
        job.end();
        assert_eq!(job.rows("unpaid"), ["value=2"]);
    }
}

mod profiles {
    use serde::Deserialize;
    use std::collections::BTreeMap;
    use streamhost::{Edit, Job, Record, Row, hbase, job, kafka};

    #[derive(Deserialize)]
    struct Update<'a> {
        user: &'a str,
        email: Option<&'a str>,
        #[serde(default)]
        unsubscribed: bool,
        #[serde(default)]
        scores: BTreeMap<String, f64>,
    }

    #[derive(Row)]
    struct Profile<'a> {
        #[row(key)]
        user: &'a str,
        #[row("info:email")]
        email: Edit<&'a str>, // written, deleted, or left as it is
        #[row(dynamic)]
        scores: BTreeMap<String, f64>, // a column for each entry, such as `scores:chess`
    }

    fn parse(record: Record<'_>) -> Result<Profile<'_>, String> {
        let update: Update<'_> = record.json()?;
        let email = match update.email {
            _ if update.unsubscribed => Edit::Delete,
            Some(email) => Edit::Set(email),
            None => Edit::Keep,
        };
        Ok(Profile {
            user: update.user,
            email,
            scores: update.scores,
        })
    }

    #[job]
    fn profiles() -> Job {
        kafka("updates").try_map(parse).to(hbase("profiles"))
    }

    #[test]
    fn cells_are_written_deleted_or_left_alone() {
        let mut job = streamhost::testing::run(profiles);
        job.send(
            "updates",
            [
                r#"{"user": "ann", "email": "a@x.org"}"#,
                r#"{"user": "ann", "unsubscribed": true}"#,
                r#"{"user": "ann", "scores": {"scores:chess": 7}}"#,
            ],
        );
        assert_eq!(
            job.rows("profiles"),
            [
                "key=ann info:email=a@x.org",
                "key=ann info:email (deleted)",
                "key=ann scores:chess=7.0"
            ]
        );
    }
}

mod pages {
    use streamhost::{Job, Key, Record, Row, fields, hbase, job, kafka};

    #[derive(Key, Clone, Copy)]
    struct Visit<'a> {
        page: &'a str,
        user: u64,
    }

    #[derive(Row)]
    #[row(separator = "#")]
    struct Visits<'a> {
        #[row(key)]
        page: &'a str,
        #[row(key)]
        user: u64,
        #[row("v:count")]
        count: u64,
    }

    fn parse(record: Record<'_>) -> Result<Visit<'_>, String> {
        let [page, user] = fields(record.text()?, ',')?;
        Ok(Visit {
            page,
            user: user.parse().map_err(|_| "no user")?,
        })
    }

    #[job]
    fn pages() -> Job {
        kafka("visits")
            .try_map(parse)
            .key_by(|visit| *visit)
            .running()
            .count()
            .map(|update| Visits {
                page: update.key.page,
                user: update.key.user,
                count: update.value,
            })
            .to(hbase("visits"))
    }

    #[test]
    fn visits_are_counted_by_page_and_user() {
        let mut job = streamhost::testing::run(pages);
        job.send("visits", ["/a,7", "/a,7", "/b,7"]);
        let mut rows = job.rows("visits");
        rows.sort();
        assert_eq!(rows, ["key=/a#7 v:count=2", "key=/b#7 v:count=1"]);
    }
}

mod united {
    use streamhost::testing;
    use streamhost::{Job, console, job, kafka};

    /// Views of a page, wherever it was seen.
    #[job]
    fn views() -> Job {
        kafka("web")
            .try_map(|view| view.text())
            .union(kafka("mobile").try_map(|view| view.text()))
            .key_by(|page| *page)
            .running()
            .count()
            .to(console())
    }

    #[test]
    fn views_of_both_topics_are_counted_together() {
        let mut job = testing::run(views);
        job.send("web", ["home"]).send("mobile", ["home"]);
        assert_eq!(
            job.rows("console"),
            ["key=home value=1", "key=home value=2"]
        );
    }
}
