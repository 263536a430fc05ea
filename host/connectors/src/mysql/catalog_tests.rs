use super::*;

fn column(name: &str, kind: Kind) -> ColumnSpec {
    ColumnSpec {
        name: name.to_owned(),
        kind,
        optional: false,
    }
}

fn spec() -> SinkSpec {
    SinkSpec {
        name: "out".to_owned(),
        target: "shop.visits".to_owned(),
        keys: vec![column("site", Kind::Text), column("at", Kind::Time)],
        columns: vec![column("views", Kind::Int), column("a`b", Kind::Uint)],
        ..SinkSpec::default()
    }
}

fn index(name: &str, columns: &[&str], is_plain: bool) -> Index {
    Index {
        name: name.to_owned(),
        columns: columns.iter().map(|&of| of.to_owned()).collect(),
        is_plain,
    }
}

fn of(name: &str, shown: &str) -> Column<SqlType> {
    let collation = shown
        .starts_with("varchar")
        .then(|| "utf8mb4_bin".to_owned());
    Column {
        sql: SqlType {
            name: name.to_owned(),
            shown: shown.to_owned(),
            collation,
            ..SqlType::default()
        },
        is_required: false,
        is_made: false,
    }
}

fn table() -> Table<MySql> {
    let columns = [
        ("site", of("varchar", "varchar(20)")),
        ("at", of("datetime", "datetime(3)")),
        ("views", of("int", "int(11)")),
        ("a`b", of("bigint", "bigint(20) unsigned")),
    ];
    Table {
        id: "shop.visits".to_owned(),
        columns: columns.map(|(name, c)| (name.to_owned(), c)).into(),
        unique: vec![["site".to_owned(), "at".to_owned()].into()],
        unfit: None,
        more: More {
            indexes: vec![index("PRIMARY", &["site", "at"], true)],
            counted: BTreeSet::new(),
        },
    }
}

#[test]
fn a_table_is_made_as_it_is_wanted() {
    let made = |collation: &str| {
        format!(
            "CREATE TABLE `shop`.`visits` (`site` varchar(764) CHARACTER SET utf8mb4 COLLATE {collation} NOT NULL, \
             `at` datetime(3) NOT NULL, `views` bigint, `a``b` bigint unsigned, PRIMARY KEY (`site`, `at`)) \
             ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"
        )
    };
    assert_eq!(
        create_table(Flavor::MariaDb, &spec()),
        made("utf8mb4_nopad_bin")
    );
    assert_eq!(
        create_table(Flavor::MySql, &spec()),
        made("utf8mb4_0900_bin")
    );
    let mut many = spec();
    many.keys = (0..limits::MYSQL_KEYS_MAX)
        .map(|n| column(&format!("k{n}"), Kind::Bytes))
        .collect();
    assert!(create_table(Flavor::MySql, &many).contains("`k0` varbinary(192) NOT NULL"));
}

/// A change of the table, or of the job.
type Change = fn(&mut Table<MySql>, &mut SinkSpec);

#[test]
fn all_that_does_not_fit_is_said_with_what_to_do() {
    assert_eq!(table().fits(&spec()), Ok(()));
    let blurred: Change = |t, _| {
        let site = t.columns.get_mut("site").expect("it is there");
        site.sql.collation = Some("utf8mb4_general_ci".to_owned());
    };
    let cases: [(Change, &str); 8] = [
        (
            |t, _| drop(t.columns.remove("views")),
            "ADD COLUMN `views` bigint",
        ),
        (
            |_, s| s.columns[0].kind = Kind::Text,
            "`views` is int(11), and the job gives text",
        ),
        (|t, _| t.unique.clear(), "ADD PRIMARY KEY (`site`, `at`)"),
        (
            |t, _| {
                let mut more = t.columns["views"].clone();
                more.is_required = true;
                t.columns.insert("more".to_owned(), more);
            },
            "ALTER TABLE `shop`.`visits` MODIFY `more` int(11) NULL",
        ),
        (
            |t, s| t.unfit = unfit("BASE TABLE", "MyISAM", &s.target),
            "ALTER TABLE `shop`.`visits` ENGINE = InnoDB",
        ),
        (
            |_, s| s.columns[0].name = "x".repeat(65),
            "has at most 64 characters",
        ),
        (
            |_, s| s.columns[0].name = "x ".to_owned(),
            "end with a blank",
        ),
        (
            blurred,
            "MODIFY `site` varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, or accept it: \
             --set sink.out.collation=accept",
        ),
    ];
    for (change, part) in cases {
        let (mut table, mut spec) = (table(), spec());
        change(&mut table, &mut spec);
        match table.fits(&spec) {
            Err(Failure::Refused(words)) => assert!(words.contains(part), "{part}: {words}"),
            other => panic!("{part}: {other:?}"),
        }
    }
    let (mut table, mut spec) = (table(), spec());
    blurred(&mut table, &mut spec);
    spec.options = spec.options.with(COLLATION, "accept");
    assert_eq!(table.fits(&spec), Ok(()));
}

#[test]
fn an_index_is_a_rival_where_a_row_may_meet_another_key_in_it() {
    let rivals = |more: Index| {
        let mut table = table();
        table.more.indexes.push(more);
        table.more.counted.insert("id".to_owned());
        table.has_rivals(&spec())
    };
    assert!(!table().has_rivals(&spec()));
    for (more, is_rival) in [
        (index("of-another", &["views"], true), true),
        (index("of-a-part", &["site"], true), true),
        (index("of-a-beginning", &["site", "at"], false), true),
        (index("of-more", &["site", "at", "views"], true), false),
        (index("of-what-is-counted", &["id"], true), false),
    ] {
        let name = more.name.clone();
        assert_eq!(rivals(more), is_rival, "{name}");
    }
}
